from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.truth import filter_precision
from benchmarks.truth.candidate_cache import SCORES, Candidates
from benchmarks.truth.filter_precision import combined_scores, default_thresholds, keep
from benchmarks.truth.precision_recall import passing
from conf.compose import compose_config
from miniworld.edits import EDITS
from stages.candidates.scoring import CLIP_SCORES


def scored(seed: int, edits: int = 3, samples: int = 3, taus: int = 4) -> Candidates:
    """Candidates with scores and no images."""
    edit, sample, tau = (axis.ravel() for axis in np.indices((edits, samples, taus)))
    none = np.zeros((0, 64, 64, 3), np.uint8)
    scores = np.random.default_rng(seed).random((len(edit), len(SCORES))).astype(np.float32)
    return Candidates(edit, sample, edit, tau / taus, none, none, scores)


def test_thresholds_are_those_of_the_mini_worlds_preset():
    composed = compose_config(["filter=miniworld"], "/nowhere/{}".format)
    assert default_thresholds() == tuple(composed.filter[name] for name in CLIP_SCORES)


@given(st.integers(0, 1000), st.integers(1, 3))
def test_the_best_tau_of_a_sample_is_kept(seed: int, per_edit: int):
    candidates = scored(seed)
    rank = candidates.score("clip_sim_dir")[0]
    passes = candidates.score("clip_sim_image")[0] > 0.4
    kept = keep(passes, rank, candidates, per_edit)
    assert not (kept & ~passes).any()
    of_sample = Counter(zip(candidates.edit[kept], candidates.sample[kept], strict=True))
    assert max(of_sample.values()) == 1
    for edit in np.unique(candidates.edit):
        mask = (candidates.edit == edit) & passes
        best = [rank[mask & (candidates.sample == s)].max() for s in np.unique(candidates.sample[mask])]
        kept_ranks = sorted(rank[kept & (candidates.edit == edit)])
        assert kept_ranks == sorted(best)[-per_edit:]


@given(st.integers(0, 1000))
def test_zero_margin_is_the_filter_itself(seed: int):
    candidates = scored(seed)
    thresholds = default_thresholds()
    scores = combined_scores(candidates, thresholds)
    filtered = passing(candidates.score(*CLIP_SCORES), thresholds)
    assert ((scores["default thresholds in lockstep"] >= 0) == filtered).all()
    assert all(values.shape == filtered.shape for values in scores.values())
    assert (scores["ssim"] == candidates.score("ssim")[0]).all()


@pytest.mark.long
def test_a_small_measurement_prints_every_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(filter_precision, "DRAWN", 20)
    monkeypatch.setattr(filter_precision, "DRAWN_PER_KIND", 1)
    filter_precision.main(["--per-kind", "1", "--seeds", "1", "--folder", str(tmp_path), "--dry"])
    tables = capsys.readouterr().out
    assert tables.count("| --- |") >= 6
    assert all(f"| {kind} |" in tables for kind in EDITS)
