from __future__ import annotations

import pytest

from conf.compose import ConfigError
from pipeline.finetune.finetune_settings import Finetune, read

GIVEN = ["data=t.jsonl", "writer.model=m", "out=o"]


def test_what_is_given_and_what_is_not() -> None:
    asked = read([*GIVEN, "lora.rank=8", "learning_rate=1e-3", 'writer.format.stop="\\n<end>"'])
    assert (asked.data, asked.writer.model, asked.out, asked.lora.rank) == ("t.jsonl", "m", "o", 8)
    assert asked.learning_rate == 1e-3
    assert asked.writer.format.stop == "\n<end>"
    assert asked.epochs == Finetune().epochs


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (["data=t.jsonl", "out=o"], "writer.model has no value"),
        ([*GIVEN, "epoch=3"], "epoch"),
        ([*GIVEN, "epochs=many"], "epochs"),
        ([*GIVEN, "epochs=0"], "epochs=0 must be 1 or more"),
        ([*GIVEN, "batch=10", "micro_batch=4"], "batch=10 must be a multiple of micro_batch=4"),
        ([*GIVEN, "validation=0"], "validation=0 must lie between 0 and 1"),
        ([*GIVEN, "learning_rate=-1"], "learning_rate=-1 must be over 0"),
        ([*GIVEN, "lora.dropout=1"], "lora.dropout=1 must be from 0"),
        (["data=t.jsonl", "writer.model=m", "out=s3://b/o"], "must be a folder of this machine"),
        ([*GIVEN, "--fast"], "'--fast' is no setting"),
        (["t.jsonl"], "'t.jsonl' is no setting"),
    ],
)
def test_what_cannot_be_is_one_line_that_names_it(told: list[str], reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(told)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
