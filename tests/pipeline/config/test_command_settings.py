from __future__ import annotations

from dataclasses import dataclass

import pytest
from omegaconf import MISSING

from conf.compose import ConfigError
from pipeline.config.command_settings import read_settings


@dataclass
class Example:
    to: str = MISSING
    rows: int = 3


def test_settings_fill_the_dataclass():
    assert read_settings(Example, ["to=there", "rows=7"], "example") == Example("there", 7)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ([], "to has no value: give to=…"),
        (["to=there", "rows"], "'rows' is not a setting"),
        (["to=there", "rows=many"], "rows: "),
        (["to=there", "row=3"], "row: "),
    ],
)
def test_an_error_is_one_line_that_names_the_help(settings: list[str], message: str):
    with pytest.raises(ConfigError) as error:
        read_settings(Example, settings, "example")
    assert message in str(error.value)
    assert "see pairforge example --help" in str(error.value)
    assert "\n" not in str(error.value)
