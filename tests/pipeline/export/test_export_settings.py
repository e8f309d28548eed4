from __future__ import annotations

import pytest

from conf.config_errors import ConfigError
from pipeline.export.export_settings import Export, read


def test_settings_have_defaults_but_the_target():
    assert read(["to=set"]) == Export(to="set")
    given = read(["to=set", "format=hf-parquet", "split=[0.5,0.5]", "rows=3", "push_to_hub=me/edits"])
    assert (given.split, given.rows, given.push_to_hub) == ([0.5, 0.5], 3, "me/edits")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ([], "to has no value"),
        (["to=set", "split=[0.5,0.4]"], "adds up to 0.9"),
        (["to=set", "rows=0"], "rows=0 must be 1 or more"),
        (["to=s3://bucket/set", "push_to_hub=me/edits"], "needs a local folder"),
        (["to=set", "format=zip"], "format"),
        (["to=set", "sharsd=3"], "sharsd"),
    ],
)
def test_an_invalid_setting_is_named(settings: list[str], told: str):
    with pytest.raises(ConfigError, match=told):
        read(settings)
