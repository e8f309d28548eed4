from __future__ import annotations

import os
from pathlib import Path

import pytest

from conf.pairs import Settings
from pipeline.config import environment, resolve
from tests.pipeline.pairs import small

NAMES = (
    "HF_HUB_DISABLE_TELEMETRY",
    "HF_HUB_OFFLINE",
    "TRANSFORMERS_VERBOSITY",
    "DIFFUSERS_VERBOSITY",
    "RAY_USAGE_STATS_ENABLED",
)


@pytest.fixture
def configs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """A run of each kind, with every file on this machine; the environment has none of the names."""
    for name in NAMES:
        # Set first, so that the variable is removed again after the test.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    images = resolve.checked(resolve.compose(["log=info"]))
    return [images, resolve.read_pairs_settings(small.settings(tmp_path))]


def test_local_runs_turn_the_hub_and_telemetry_off(configs: list[Settings]) -> None:
    environment.prepare(*configs)
    assert [os.environ[name] for name in NAMES] == ["1", "1", "info", "info", "0"]


def test_a_model_of_the_hub_keeps_the_hub(configs: list[Settings]) -> None:
    configs[0].model.path = "owner/name"
    environment.prepare(*configs)
    assert "HF_HUB_OFFLINE" not in os.environ
    assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == "1"


def test_the_user_s_own_values_stay(configs: list[Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSFORMERS_VERBOSITY", "debug")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")
    environment.prepare(*configs)
    assert os.environ["TRANSFORMERS_VERBOSITY"] == "debug"
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "1"
