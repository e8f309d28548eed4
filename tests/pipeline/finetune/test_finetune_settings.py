from __future__ import annotations

import pytest

from conf.config_errors import ConfigError
from pipeline.finetune.finetune_settings import Finetune, read_settings

GIVEN = ["data=t.jsonl", "writer.model=m", "out=o"]


def test_given_settings_and_defaults() -> None:
    settings = read_settings([*GIVEN, "lora.rank=8", "learning_rate=1e-3", 'writer.format.stop="\\n<end>"'])
    assert (settings.data, settings.writer.model, settings.out, settings.lora.rank) == (
        "t.jsonl",
        "m",
        "o",
        8,
    )
    assert settings.learning_rate == 1e-3
    assert settings.writer.format.stop == "\n<end>"
    assert settings.epochs == Finetune().epochs


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["data=t.jsonl", "out=o"], "writer.model has no value"),
        ([*GIVEN, "epoch=3"], "epoch"),
        ([*GIVEN, "epochs=many"], "epochs"),
        ([*GIVEN, "epochs=0"], "epochs=0 must be 1 or more"),
        ([*GIVEN, "batch=10", "micro_batch=4"], "batch=10 must be a multiple of micro_batch=4"),
        ([*GIVEN, "validation=0"], "validation=0 must lie between 0 and 1"),
        ([*GIVEN, "learning_rate=-1"], "learning_rate=-1 must be greater than 0"),
        ([*GIVEN, "lora.dropout=1"], "lora.dropout=1 must be at least 0"),
        (["data=t.jsonl", "writer.model=m", "out=s3://b/o"], "must be a local folder"),
        ([*GIVEN, "--fast"], "'--fast' is not a setting"),
        (["t.jsonl"], "'t.jsonl' is not a setting"),
    ],
)
def test_an_invalid_setting_is_named_in_one_line(arguments: list[str], reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_settings(arguments)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
