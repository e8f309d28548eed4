from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipeline.refilter import made


@pytest.fixture(scope="session")
def all_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that stores the images of what it rejects."""
    out = tmp_path_factory.mktemp("refilter") / "all"
    made.generated(out, *made.TIGHT, "keep=all-images")
    return out


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that stores the images of what it keeps."""
    out = tmp_path_factory.mktemp("refilter") / "kept"
    made.generated(out, *made.LOOSE)
    return out
