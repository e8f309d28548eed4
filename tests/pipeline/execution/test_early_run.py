"""Leaving edits on the way, as a setting of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from conf.config_errors import ConfigError
from pipeline.config import resolve
from pipeline.planning.run_fingerprint import Models, difference, settings_of
from tests import runs


@pytest.mark.parametrize("setting", ["early.at=0", "early.at=1", "early.clip_sim_dir=-0.1"])
def test_a_value_that_cannot_be_is_named_in_one_line(setting: str):
    with pytest.raises(ConfigError, match=setting.replace(".", r"\.")) as error:
        resolve.checked(resolve.compose([setting]))
    assert "\n" not in str(error.value)


def test_it_is_of_what_a_plan_holds_a_run_to_where_it_is_on():
    models = Models("g", "c")

    def told(*more: str) -> dict[str, object]:
        return settings_of(runs.config(Path("/m"), Path("/c"), *more), "", models)

    assert not difference(told(), told("early.clip_sim_dir=0.3"))
    assert difference(told("early.at=0.5"), told("early.at=0.5", "early.clip_sim_dir=0.3")) == [
        "early.clip_sim_dir was 0.6, is 0.3"
    ]
    assert "early.at was None, is 0.5" in difference(told(), told("early.at=0.5"))
