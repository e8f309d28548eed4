from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import filters
import p2p
from stages.candidates.full_decode import FULL_DECODE
from stages.candidates.requests import make_requests
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


def test_kept_candidates_have_full_images_and_their_scores(small: Generate, result: UnitResult):
    assert len(result.samples) == 4
    by_id = {pair.id: pair for pair in UNIT.pairs}
    for sample in result.samples:
        about, pair = sample.metadata, by_id[sample.metadata["pair_id"]]
        request = make_requests(pair, small.config)[about["sample_index"]]
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
        assert np.abs(made[1].astype(int) - sweep.edits[edit]).max() > 8, (
            "the image is not the small decoder's"
        )
        scores = small.scorer.clip.score([made[0]], [made[1]], [pair.input], [pair.output])
        for name in CLIP_SCORES:
            assert about[name] == pytest.approx(float(getattr(scores, name)[0]), abs=1e-5)


def test_others_keep_the_scores_of_the_small_decoder(small: Generate, result: UnitResult):
    """The shift is the difference between both scores of the survivors."""
    flat = [(pair, request) for pair in UNIT.pairs for request in make_requests(pair, small.config)]
    sweeps = small.editor.sweep_many([request for _, request in flat], small.config.cluster.batch_rows)
    tried = [(pair, sweep, k) for (pair, _), sweep in zip(flat, sweeps, strict=True) for k in range(3)]
    scores = small.scorer.clip.score(
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


def test_a_survivor_below_a_threshold_in_full_is_rejected(small: Generate, result: UnitResult):
    """The threshold lies between the clip_sim_image of a survivor's images by either decoder."""
    editor, clip = small.editor, small.scorer.clip
    request = make_requests(UNIT.pairs[0], small.config)[0]
    (sweep,) = editor.sweep_many([request])

    def likeness(source: np.ndarray, edits: np.ndarray) -> np.ndarray:
        pair = UNIT.pairs[0]
        scores = clip.score([source] * 3, list(edits), [pair.input] * 3, [pair.output] * 3)
        return scores.clip_sim_image

    first = likeness(sweep.source, sweep.edits)
    full = likeness(editor.decode(sweep.source_latents[None])[0], editor.decode(sweep.edit_latents))
    assert first.max() > full.max(), "the small decoder's images are more alike"
    small.scorer.thresholds = filters.Thresholds(-1, -1, -1, float(first.min() + full.max()) / 2, 4)
    try:
        again = small(UNIT)
    finally:
        small.scorer.thresholds = filters.Thresholds(-1, -1, -1, -1, 4)
    lost = [candidate for candidate in again.candidates if candidate.reason == FULL_DECODE]
    assert lost
    assert not any(candidate.kept for candidate in lost)
    assert again.rescored == len(lost) + len(again.samples)
    keys = {sample.key for sample in again.samples}
    assert not any(f"{candidate.pair_id}-{candidate.sample_index:03d}" in keys for candidate in lost)


def test_without_a_scoring_decoder_nothing_is_scored_again(sd1_folder: Path, clip_folder: Path):
    plain = Generate(runs.config(sd1_folder, clip_folder), "f" * 64)
    assert plain.editor.scoring_decoder is None
    result = plain(UNIT)
    assert (result.rescored, result.shifts) == (0, {})


def test_a_missing_scoring_decoder_is_an_error_of_the_set_up(
    sd1_folder: Path, clip_folder: Path, tmp_path: Path
):
    config = runs.config(sd1_folder, clip_folder, f"model.scoring_decoder={tmp_path}")
    with pytest.raises(p2p.ModelError, match="the scoring decoder does not load"):
        Generate(config, "f" * 64)
