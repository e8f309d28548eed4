"""Editors and plain pipelines over the small models, loaded once."""

from __future__ import annotations

from pathlib import Path

import pytest
from diffusers import StableDiffusionPipeline

import p2p


@pytest.fixture(scope="session", params=["sd1", "sd2"])
def folder(request: pytest.FixtureRequest, sd1_folder: Path, sd2_folder: Path) -> Path:
    return {"sd1": sd1_folder, "sd2": sd2_folder}[request.param]


@pytest.fixture(scope="session")
def editor(folder: Path) -> p2p.Editor:
    return p2p.load(folder, device="cpu")


@pytest.fixture(scope="session")
def sd1_editor(sd1_folder: Path) -> p2p.Editor:
    return p2p.load(sd1_folder, device="cpu")


@pytest.fixture(scope="session")
def pipeline(folder: Path) -> StableDiffusionPipeline:
    """A pipeline of diffusers, which a test may give attention processors of its own."""
    pipeline = StableDiffusionPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
