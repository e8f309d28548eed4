from __future__ import annotations

from pathlib import Path

import pytest

from stages.worker.process import load_stage


def test_a_stage_is_found_by_its_dotted_name(tmp_path: Path, monkeypatch) -> None:
    assert load_stage("tests.stages.worker.environment_stage.Surroundings").__name__ == "Surroundings"
    with pytest.raises(AttributeError, match="NoStage"):
        load_stage("tests.stages.worker.environment_stage.NoStage")
    (tmp_path / "broken_stage.py").write_text("import no_such_library\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ImportError, match="no_such_library"):
        load_stage("broken_stage.Stage")
