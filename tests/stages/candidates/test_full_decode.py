from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import filters
import p2p
from stages.candidates.full_decode import FULL_DECODE
from stages.candidates.requests import requests
from stages.candidates.scoring import CLIP_SCORES
from stages.generate import Generate
from stages.records import Unit, UnitResult
from tests import models, runs

UNIT = Unit(0, runs.PAIRS[:2])


@pytest.fixture(scope="module")
def small(sd1_folder: Path, clip_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Generate:
    tiny = models.save_tiny(tmp_path_factory.mktemp("tiny"))
    more = ("sheet.pairs=1", f"model.scoring_decoder={tiny}")
    return Generate(runs.config(sd1_folder, clip_folder, *more), "f" * 64)


@pytest.fixture(scope="module")
def result(small: Generate) -> UnitResult:
    return small(UNIT)


def test_what_is_kept_is_decoded_in_full_and_scored_by_that(small: Generate, result: UnitResult):
    assert len(result.samples) == 4
    by_id = {pair.id: pair for pair in UNIT.pairs}
    for sample in result.samples:
        about, pair = sample.metadata, by_id[sample.metadata["pair_id"]]
        request = requests(pair, small.config)[about["sample_index"]]
        (sweep,) = small.editor.sweep_many([request])
        edit = request.taus.index(about["p2p_threshold"])
        wanted = (
            small.editor.decode(sweep.source_latents[None])[0],
            small.editor.decode(sweep.edit_latents)[edit],
        )
        made = sample.input_image, sample.edited_image
        for image, full in zip(made, wanted, strict=True):
            # One grey level: on its own a sweep runs in batches of another size.
            assert np.abs(image.astype(int) - full).max() <= 1
        assert np.abs(made[1].astype(int) - sweep.edits[edit]).max() > 8, "which no small decoder's image is"
        scores = small.judge.clip.score([made[0]], [made[1]], [pair.input], [pair.output])
        for name in CLIP_SCORES:
            assert about[name] == pytest.approx(float(getattr(scores, name)[0]), abs=1e-5)


def test_others_keep_the_scores_of_the_small_decoder(small: Generate, result: UnitResult):
    """And the shift is the difference between the two, of the survivors."""
    flat = [(pair, request) for pair in UNIT.pairs for request in requests(pair, small.config)]
    sweeps = small.editor.sweep_many([request for _, request in flat], small.config.cluster.batch_rows)
    tried = [(pair, sweep, k) for (pair, _), sweep in zip(flat, sweeps, strict=True) for k in range(3)]
    scores = small.judge.clip.score(
        [sweep.source for _, sweep, _ in tried],
        [sweep.edits[k] for _, sweep, k in tried],
        [pair.input for pair, _, _ in tried],
        [pair.output for pair, _, _ in tried],
    )
    for name in CLIP_SCORES:
        moved = [
            abs(getattr(candidate, name) - float(first))
            for candidate, first in zip(result.candidates, getattr(scores, name), strict=True)
        ]
        kept = [shift for shift, candidate in zip(moved, result.candidates, strict=True) if candidate.kept]
        assert sum(moved) == pytest.approx(sum(kept), abs=1e-5)
        assert result.shifts[name] == pytest.approx(sum(kept), abs=1e-5)
    assert result.rescored == len(result.samples)
    assert result.shifts["clip_sim_image"] > 1e-4


def test_what_does_not_reach_the_thresholds_in_full_is_rejected(small: Generate, result: UnitResult):
    """A threshold between the likeness of a survivor's two images by one decoder and by the other."""
    editor, clip = small.editor, small.judge.clip
    request = requests(UNIT.pairs[0], small.config)[0]
    (sweep,) = editor.sweep_many([request])

    def likeness(source: np.ndarray, edits: np.ndarray) -> np.ndarray:
        pair = UNIT.pairs[0]
        scores = clip.score([source] * 3, list(edits), [pair.input] * 3, [pair.output] * 3)
        return scores.clip_sim_image

    first = likeness(sweep.source, sweep.edits)
    full = likeness(editor.decode(sweep.source_latents[None])[0], editor.decode(sweep.edit_latents))
    assert first.max() > full.max(), "the small decoder's images are more alike"
    small.judge.thresholds = filters.Thresholds(-1, -1, -1, float(first.min() + full.max()) / 2, 4)
    try:
        again = small(UNIT)
    finally:
        small.judge.thresholds = filters.Thresholds(-1, -1, -1, -1, 4)
    lost = [candidate for candidate in again.candidates if candidate.reason == FULL_DECODE]
    assert lost
    assert not any(candidate.kept for candidate in lost)
    assert again.rescored == len(lost) + len(again.samples)
    keys = {sample.key for sample in again.samples}
    assert not any(f"{candidate.pair_id}-{candidate.sample_index:03d}" in keys for candidate in lost)


def test_without_one_nothing_is_scored_again(sd1_folder: Path, clip_folder: Path):
    plain = Generate(runs.config(sd1_folder, clip_folder), "f" * 64)
    assert plain.editor.scoring_decoder is None
    result = plain(UNIT)
    assert (result.rescored, result.shifts) == (0, {})


def test_one_that_is_not_there_is_an_error_of_the_set_up(sd1_folder: Path, clip_folder: Path, tmp_path: Path):
    config = runs.config(sd1_folder, clip_folder, f"model.scoring_decoder={tmp_path}")
    with pytest.raises(p2p.ModelError, match="the scoring decoder does not load"):
        Generate(config, "f" * 64)
