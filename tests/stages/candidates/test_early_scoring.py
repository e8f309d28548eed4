"""Early stopping in the stage, and the handling of stopped edits after it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import p2p
from stages.candidates.early_scoring import LEFT_EARLY
from stages.candidates.selection import select
from stages.generate import Generate
from stages.records import Candidate, Unit
from tests import runs

UNIT = Unit(0, runs.PAIRS[:3])
GRID = ("sweep=grid", "sweep.seeds=3", "sweep.taus=[0.25,0.5,1.0]", "sampler.guidance=3.0")
NO_MARGIN = tuple(
    f"early.{name}=0" for name in ("clip_sim_0", "clip_sim_1", "clip_sim_dir", "clip_sim_image")
)


def make_stage(sd1_folder: Path, clip_folder: Path, *more: str) -> Generate:
    return Generate(runs.config(sd1_folder, clip_folder, *GRID, "keep=all-images", *more), "f" * 64)


@pytest.fixture(scope="module")
def median(sd1_folder: Path, clip_folder: Path) -> str:
    """The setting of a threshold that half of the candidates miss."""
    result = make_stage(sd1_folder, clip_folder)(UNIT)
    return f"filter.clip_sim_dir={float(np.median([c.clip_sim_dir for c in result.candidates]))}"


def place(candidate: Candidate) -> tuple[str, int, float]:
    return candidate.pair_id, candidate.sample_index, candidate.tau


def test_stopped_edits_are_recorded_and_others_stay_the_same(
    sd1_folder: Path, clip_folder: Path, median: str
) -> None:
    without = make_stage(sd1_folder, clip_folder, median)(UNIT)
    stage = make_stage(sd1_folder, clip_folder, median, "early.at=0.5", *NO_MARGIN)
    stopped = stage(UNIT)
    early = {place(c) for c in stopped.candidates if c.reason == LEFT_EARLY}
    assert 0 < len(early) < len(stopped.candidates)
    assert stopped.rows == stage.editor.usage.rows < without.rows
    finished = {place(c): c for c in without.candidates}
    assert [place(c) for c in stopped.candidates] == list(finished)
    for candidate in stopped.candidates:
        if place(candidate) in early:
            assert not candidate.kept
        else:
            assert candidate.clip_sim_dir == pytest.approx(finished[place(candidate)].clip_sim_dir, abs=0.05)
    key = {(c.pair_id, c.sample_index): f"{c.pair_id}-{c.sample_index:03d}" for c in stopped.candidates}
    for rejected in stopped.rejected:
        candidates = [c for c in stopped.candidates if key[c.pair_id, c.sample_index] == rejected.key]
        reasons = {candidates[k].reason for k in rejected.edited_images}
        assert not reasons & {"", LEFT_EARLY}, "a prediction is not stored as an image"


def test_wide_margins_change_nothing(sd1_folder: Path, clip_folder: Path, median: str) -> None:
    wide = [setting.replace("=0", "=9") for setting in NO_MARGIN]
    stopped = make_stage(sd1_folder, clip_folder, median, "early.at=0.5", *wide)(UNIT)
    without = make_stage(sd1_folder, clip_folder, median)(UNIT)
    assert stopped.rows == without.rows
    assert [c.reason for c in stopped.candidates] == [c.reason for c in without.candidates]


def test_stopping_does_not_depend_on_other_pairs(sd1_folder: Path, clip_folder: Path, median: str) -> None:
    stage = make_stage(sd1_folder, clip_folder, median, "early.at=0.5", *NO_MARGIN)
    together = stage(UNIT)
    for pair in UNIT.pairs:
        alone = stage(Unit(0, (pair,)))
        candidates = [c for c in together.candidates if c.pair_id == pair.id]
        assert [place(c) for c in candidates if c.reason == LEFT_EARLY] == [
            place(c) for c in alone.candidates if c.reason == LEFT_EARLY
        ]


def test_a_stopped_edit_is_rejected_even_if_its_scores_pass(sd1_folder: Path, clip_folder: Path) -> None:
    stage = make_stage(sd1_folder, clip_folder)
    (pair,) = runs.PAIRS[:1]
    request = p2p.SweepRequest(pair.input, pair.output, (0.0, 1.0), steps=4, guidance_scale=3.0)
    sweep = replace(stage.editor.sweep_many([request])[0], stopped=(1,))
    stage.editor.sweep_many = lambda *_: [sweep]
    seeds = stage._sweep([(pair, request)])
    candidates = select(pair, seeds, stage.scorer, stage.config).candidates
    assert [(c.kept, c.reason) for c in candidates] == [(True, ""), (False, LEFT_EARLY)]
