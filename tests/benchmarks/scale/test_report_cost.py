from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.scale import report_cost
from pipeline.commands.verify import verify
from pipeline.dataset.pack import manifest


def test_made_run_is_complete(tmp_path: Path):
    store = report_cost.make(tmp_path, 10)
    assert verify(store.url) == 0
    scores = [file for file in manifest(store) if file.name.startswith("scores/")]
    assert sum(file.rows for file in scores) == 10 * 20
    table = pq.read_table(store.path(scores[0].name))
    assert 0.02 < table["kept"].to_numpy().mean() < 0.5
    commits = [json.loads(path.read_text()) for path in sorted((tmp_path / "out/run/commits").iterdir())]
    assert [commit["pairs"] for commit in commits] == [4, 4, 2]
