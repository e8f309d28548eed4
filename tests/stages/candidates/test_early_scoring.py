"""Edits that are left on the way, in the stage and in what comes after it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import p2p
from stages.candidates.adaptive_rounds import _sweep
from stages.candidates.early_scoring import LEFT_EARLY
from stages.candidates.selection import choose
from stages.generate import Generate
from stages.records import Candidate, Unit
from tests import runs

UNIT = Unit(0, runs.PAIRS[:3])
GRID = ("sweep=grid", "sweep.seeds=3", "sweep.taus=[0.25,0.5,1.0]", "sampler.guidance=3.0")
NO_MARGIN = tuple(
    f"early.{name}=0" for name in ("clip_sim_0", "clip_sim_1", "clip_sim_dir", "clip_sim_image")
)


def made(sd1_folder: Path, clip_folder: Path, *more: str) -> Generate:
    return Generate(runs.config(sd1_folder, clip_folder, *GRID, "keep=all-images", *more), "f" * 64)


@pytest.fixture(scope="module")
def median(sd1_folder: Path, clip_folder: Path) -> str:
    """A threshold that half of the candidates miss."""
    result = made(sd1_folder, clip_folder)(UNIT)
    return f"filter.clip_sim_dir={float(np.median([c.clip_sim_dir for c in result.candidates]))}"


def place(candidate: Candidate) -> tuple[str, int, float]:
    return candidate.pair_id, candidate.sample_index, candidate.tau


def test_what_is_left_is_told_and_the_others_are_what_they_are_without(
    sd1_folder: Path, clip_folder: Path, median: str
) -> None:
    without = made(sd1_folder, clip_folder, median)(UNIT)
    stage = made(sd1_folder, clip_folder, median, "early.at=0.5", *NO_MARGIN)
    looked = stage(UNIT)
    left = {place(c) for c in looked.candidates if c.reason == LEFT_EARLY}
    assert 0 < len(left) < len(looked.candidates)
    assert looked.rows == stage.editor.usage.rows < without.rows
    finished = {place(c): c for c in without.candidates}
    assert [place(c) for c in looked.candidates] == list(finished)
    for candidate in looked.candidates:
        if place(candidate) in left:
            assert not candidate.kept
        else:
            assert candidate.clip_sim_dir == pytest.approx(finished[place(candidate)].clip_sim_dir, abs=0.05)
    key = {(c.pair_id, c.sample_index): f"{c.pair_id}-{c.sample_index:03d}" for c in looked.candidates}
    for rejected in looked.rejected:
        own = [c for c in looked.candidates if key[c.pair_id, c.sample_index] == rejected.key]
        reasons = {own[k].reason for k in rejected.edited_images}
        assert not reasons & {"", LEFT_EARLY}, "a prediction is no image"


def test_margins_that_nothing_misses_change_nothing(sd1_folder: Path, clip_folder: Path, median: str) -> None:
    wide = [setting.replace("=0", "=9") for setting in NO_MARGIN]
    looked = made(sd1_folder, clip_folder, median, "early.at=0.5", *wide)(UNIT)
    without = made(sd1_folder, clip_folder, median)(UNIT)
    assert looked.rows == without.rows
    assert [c.reason for c in looked.candidates] == [c.reason for c in without.candidates]


def test_what_is_left_does_not_depend_on_the_company(
    sd1_folder: Path, clip_folder: Path, median: str
) -> None:
    stage = made(sd1_folder, clip_folder, median, "early.at=0.5", *NO_MARGIN)
    together = stage(UNIT)
    for pair in UNIT.pairs:
        alone = stage(Unit(0, (pair,)))
        own = [c for c in together.candidates if c.pair_id == pair.id]
        assert [place(c) for c in own if c.reason == LEFT_EARLY] == [
            place(c) for c in alone.candidates if c.reason == LEFT_EARLY
        ]


def test_a_prediction_that_would_pass_is_not_kept(sd1_folder: Path, clip_folder: Path) -> None:
    """As rounding may have it, where scores are taken twice."""
    stage = made(sd1_folder, clip_folder)
    (pair,) = runs.PAIRS[:1]
    asked = (p2p.SweepRequest(pair.input, pair.output, (0.0, 1.0), steps=4, guidance_scale=3.0),)
    sweep = replace(stage.editor.sweep_many(asked)[0], stopped=(1,))
    stage.editor.sweep_many = lambda *_: [sweep]
    (swept,) = stage._sweep({"denoise": 0.0, "decode": 0.0, "score": 0.0}, (pair,), (asked,))
    chosen = choose(pair, asked, swept.judged, stage.judge)
    assert [(c.kept, c.reason) for c in chosen] == [(True, ""), (False, LEFT_EARLY)]


def test_a_seed_that_was_tried_again_keeps_the_source_that_was_finished() -> None:
    def swept(value: int, stopped: tuple[int, ...], edits: int) -> p2p.Sweep:
        image = np.full((2, 2, 3), value, np.uint8)
        latents = torch.full((4, 1, 1), float(value))
        return p2p.Sweep(
            image, np.stack([image] * edits), 10, latents, torch.stack([latents] * edits), stopped
        )

    merged = _sweep([swept(1, (0, 1), 2), swept(2, (0,), 2), swept(3, (), 1)])
    assert merged.stopped == (0, 1, 2)
    assert merged.source[0, 0, 0] == 2 == merged.source_latents[0, 0, 0]
    assert merged.edits[:, 0, 0, 0].tolist() == [1, 1, 2, 2, 3]
    assert merged.rows == 30
