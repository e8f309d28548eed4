from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from benchmarks.yields.sweep_log import configured, place
from pipeline.planning.run_fingerprint import Models


def test_a_file_is_named_after_all_that_decides_what_is_in_it():
    models, folder = Models("generator", "clip"), Path("runs")
    config = configured(["sweep=adaptive"])
    files = {
        place(folder, "way", one, which)
        for one, which in (
            (config, models),
            (config, Models("another", "clip")),
            (config, Models("generator", "another")),
            (replace(config, sweep=replace(config.sweep, aim=0.5)), models),
            (configured(["sweep=adaptive", "sampler.steps=9"]), models),
        )
    }
    assert len(files) == 5
    elsewhere = replace(config, out="elsewhere", cluster=replace(config.cluster, batch_rows=7))
    assert place(folder, "way", elsewhere, models) in files
