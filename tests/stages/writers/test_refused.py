from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.config import resolve
from stages.errors import StageError
from stages.records import CaptionPair, Unit, UnitResult
from stages.worker.supervisor import Supervised
from tests.pipeline.pairs import small
from tests.stages.writers.openai_server import KEY, MODEL, serving


def test_a_writer_that_stops_reports_once_and_splits_no_unit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    unit = Unit(0, tuple(CaptionPair(caption, "", "") for caption in small.CAPTIONS[:4]))
    with serving() as server:
        asking = [
            "writer=openai",
            f"writer.model={MODEL}",
            f"writer.endpoint={server.url}",
            "writer.retries=0",
        ]
        config = resolve.read_pairs_settings(small.settings(tmp_path, *asking, "writer.concurrency=1"))
        stage = Supervised(config, "")
        made = stage(unit)
        assert isinstance(made, UnitResult)
        assert len(made.answers) == 8
        server.requests.clear()
        server.faults.append("quota")
        with pytest.raises(StageError, match="lets no request through"):
            stage(unit)
        # Of the seven others one may be under way already.
        assert len(server.requests) <= 2
        stage.close()
