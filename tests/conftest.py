"""Fixtures that more than one folder of tests uses."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests import hydra_memo, models

# A machine that trains beside the tests is slow, and that is no failure.
SLOW = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("drawn", SLOW)
# What failed in one commit and not in the one before is the commit's fault, not an example's that was drawn today.
# A quarter of the examples of the other profile: `make test` is to be quick.
settings.register_profile("same", SLOW, derandomize=True, max_examples=25)
settings.load_profile("same")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--hypothesis-profile", None) != "drawn":
        hydra_memo.install()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files whose tests may take longest come first: begun last, one of them would leave all other workers idle."""
    longest: dict[Path, float] = {}
    for item in items:
        allowed = [float(mark.args[0]) for mark in item.iter_markers("timeout")]
        longest[item.path] = max([*allowed, longest.get(item.path, 0.0)])
    items.sort(key=lambda item: -longest[item.path])


@pytest.fixture(scope="session")
def sd1_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A diffusers folder shaped like Stable Diffusion 1: epsilon."""
    return models.save_stable_diffusion(tmp_path_factory.mktemp("models") / "sd1", version=1)


@pytest.fixture(scope="session")
def sd2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A diffusers folder shaped like Stable Diffusion 2: v-prediction."""
    return models.save_stable_diffusion(tmp_path_factory.mktemp("models") / "sd2", version=2)
