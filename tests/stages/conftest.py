from __future__ import annotations

from pathlib import Path

import pytest

from tests.clips import build_clip


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An open_clip local-dir with random weights."""
    return build_clip(tmp_path_factory.mktemp("clips") / "clip")
