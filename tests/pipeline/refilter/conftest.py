from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.report import page
from tests.pipeline.refilter import made


@pytest.fixture(autouse=True)
def _no_charts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every refilter writes a report: without charts, which take most of its time. Tests of the report draw them."""
    monkeypatch.setattr(page, "_charts", lambda data: NO_CHARTS)


NO_CHARTS = {"throughput": {}, "rates": [], "trade_off": {}, "histograms": []}


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
