from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from benchmarks.figures import method_figures
from tests.pipeline.outputs import commit, planned


def test_funnel_counts_committed_units(tmp_path: Path):
    store, _ = planned(tmp_path / "out", 3)
    commit(store, [2, 1])
    counts = method_figures.run_funnel(str(tmp_path / "out"))
    assert (counts.pairs, counts.samples) == (2, 3)
    assert counts.candidates == counts.samples + sum(counts.rejected.values())


@pytest.mark.long
def test_all_figures_are_drawn(tmp_path: Path):
    store, _ = planned(tmp_path / "out", 2)
    commit(store, [1, 2])
    method_figures.main([str(tmp_path / "out"), "--out", str(tmp_path / "pictures")])
    for name in ("strip", "attention", "tree", "funnel", "commit"):
        path = tmp_path / "pictures" / f"{name}.png"
        assert path.stat().st_size < 200_000
        assert len(Image.open(path).convert("RGB").getcolors(1 << 16)) > 20, "something is drawn"
