"""Fixtures that more than one folder of tests uses."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import models


@pytest.fixture(scope="session")
def sd1_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A diffusers folder shaped like Stable Diffusion 1: epsilon."""
    return models.save_stable_diffusion(tmp_path_factory.mktemp("models") / "sd1", version=1)


@pytest.fixture(scope="session")
def sd2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A diffusers folder shaped like Stable Diffusion 2: v-prediction."""
    return models.save_stable_diffusion(tmp_path_factory.mktemp("models") / "sd2", version=2)
