from __future__ import annotations

import io
from collections import defaultdict
from dataclasses import fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import filters
from conf.schema import Filter
from pipeline.cli.main import main
from pipeline.commands.tune import ALL, PICTURE, Tuning
from stages.candidates.scoring import CLIP_SCORES
from tests.pipeline.outputs import commit, planned

KINDS = {"a": "colour", "b": "colour", "c": "style", "d": ""}


def candidates(draw_from: np.random.Generator, count: int) -> pa.Table:
    return pa.table(
        {
            "pair_id": draw_from.choice(list(KINDS), count),
            "sample_index": draw_from.integers(0, 4, count).astype(np.int32),
            **{name: draw_from.uniform(0, 1, count).astype(np.float32) for name in CLIP_SCORES},
            "reason": draw_from.choice(["", "clip_sim_dir", "left_early"], count),
        }
    )


def chosen(table: pa.Table, thresholds: filters.Thresholds) -> dict[str, int]:
    """The samples kept of every pair, by the choice that the run itself makes."""
    rows = defaultdict(list)
    for row in table.to_pylist():
        rows[row["pair_id"]].append(row)
    kept = {}
    for pair, own in rows.items():
        own = [r for r in own if r["reason"] != "left_early"]
        columns = {f.name: np.array([r[f.name] for r in own], np.float32) for f in fields(filters.ClipScores)}
        reasons = filters.choose([r["sample_index"] for r in own], filters.ClipScores(**columns), thresholds)
        kept[pair] = reasons.count("")
    return kept


@given(
    seed=st.integers(0, 1000),
    count=st.integers(1, 60),
    name=st.sampled_from(CLIP_SCORES),
    limits=st.lists(st.floats(0, 0.8), min_size=5, max_size=5),
    most=st.integers(1, 4),
)
def test_it_counts_what_the_run_would_have_chosen(
    seed: int, count: int, name: str, limits: list[float], most: int
) -> None:
    table = candidates(np.random.default_rng(seed), count)
    now = dict(zip(CLIP_SCORES, limits, strict=False))
    tuning = Tuning(table, KINDS)
    for kind, [kept] in tuning.curves(name, [limits[4]], Filter(**now, max_per_pair=most)).items():
        again = chosen(table, filters.Thresholds(**{**now, name: limits[4]}, max_per_pair=most))
        own = [samples for pair, samples in again.items() if kind in (ALL, KINDS[pair])]
        assert kept == (sum(map(bool, own)), sum(own))


def test_tables_mark_the_run_s_thresholds_and_a_plot_is_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, _ = planned(tmp_path, 3)
    commit(store, [2, 0, 1])
    assert main(["tune", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    for name in CLIP_SCORES:
        table = said.split(f"filter.{name}: caption pairs kept")[1].split("filter.")[0]
        assert table.count("*") >= 1
    assert Image.open(io.BytesIO(store.read(PICTURE))).width > 600


def test_an_output_without_candidates_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    planned(tmp_path, 1)
    assert main(["tune", str(tmp_path)]) == 2
    assert "no candidates yet" in capsys.readouterr().err
