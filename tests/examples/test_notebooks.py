from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[2] / "examples").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_of_a_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # tqdm misses Jupyter's widgets, which nothing here shows.
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=250, resources={"metadata": {"path": str(tmp_path)}}).execute()
    said = [out for cell in notebook.cells for out in cell.get("outputs", ())]
    assert not any(out.output_type == "error" or out.get("name") == "stderr" for out in said)
    assert any("image/png" in out.get("data", {}) for out in said)
    text = "".join(out.get("text", "") for out in said)
    assert text.count("direction") == 5
    assert "kept" in text
