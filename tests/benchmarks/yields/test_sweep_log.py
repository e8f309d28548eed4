from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from benchmarks.yields.sweep_log import PairRecord, Trial, configure, log_path, read
from pipeline.planning.run_fingerprint import Models

SCORES = (0.8, 0.8, 0.9, 0.8)


def test_file_name_depends_on_all_that_changes_results():
    models, folder = Models("generator", "clip"), Path("runs")
    config = configure(["sweep=adaptive"])
    files = {
        log_path(folder, "sweep", variant, which)
        for variant, which in (
            (config, models),
            (config, Models("another", "clip")),
            (config, Models("generator", "another")),
            (replace(config, sweep=replace(config.sweep, aim=0.5)), models),
            (configure(["sweep=adaptive", "sampler.steps=9"]), models),
        )
    }
    assert len(files) == 5
    elsewhere = replace(config, out="elsewhere", cluster=replace(config.cluster, threads=7))
    assert log_path(folder, "sweep", elsewhere, models) in files


def test_incomplete_last_line_is_ignored(tmp_path: Path):
    line = {
        "pair": "a",
        "kind": "sky",
        "rows": 4,
        "seconds": 1.0,
        "candidates": [[0, 0.5, 5.0, SCORES, True]],
    }
    path = tmp_path / "sweep.jsonl"
    assert read(path) == []
    path.write_text(json.dumps(line) + "\n" + json.dumps(line)[:30])
    assert read(path) == [PairRecord("a", "sky", 4, 1.0, (Trial(0, 0.5, 5.0, SCORES, True),))]
