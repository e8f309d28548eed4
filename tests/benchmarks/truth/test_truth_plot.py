from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from benchmarks.truth.precision_recall import curve, passing, point
from benchmarks.truth.truth_plot import MIN_RECALL, plot, sweep_threshold

DEFAULTS = (0.2, 0.3)


def scored(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two scores of 80 candidates, and which of them are right: the more likely, the higher both scores."""
    rng = np.random.default_rng(seed)
    scores = rng.random((2, 80)).astype(np.float32)
    return scores, scores.mean(0) + rng.normal(0, 0.2, 80) > 0.5


@given(st.integers(0, 1000), st.sampled_from((0, 1)))
def test_a_higher_threshold_never_recalls_more(seed: int, which: int):
    scores, right = scored(seed)
    sweep = sweep_threshold("s", which, scores, right, DEFAULTS)
    assert (np.diff(sweep.thresholds) > 0).all()
    assert (np.diff(sweep.recall) <= 0).all()
    assert (sweep.recall >= MIN_RECALL).all()
    assert ((sweep.precision >= 0) & (sweep.precision <= 1)).all()
    assert sweep.default == DEFAULTS[which]


@pytest.mark.parametrize("which", [0, 1])
def test_at_its_default_a_sweep_is_the_filter(which: int):
    scores, right = scored(3)
    sweep = sweep_threshold("s", which, scores, right, DEFAULTS)
    at = int(np.flatnonzero(np.isclose(sweep.thresholds, DEFAULTS[which]))[0])
    assert (sweep.precision[at], sweep.recall[at]) == point(passing(scores, DEFAULTS), right)


def test_the_figure_is_drawn(tmp_path: Path):
    scores, right = scored(5)
    sweeps = [sweep_threshold(f"s{k}", k % 2, scores, right, DEFAULTS) for k in range(4)]
    plot(
        {"first": curve(scores[0], right)},
        {"default": point(passing(scores, DEFAULTS), right)},
        sweeps,
        right.mean(),
        tmp_path / "truth.png",
    )
    picture = Image.open(tmp_path / "truth.png")
    assert picture.size == (1300, 600)
    assert len(picture.convert("RGB").getcolors(1 << 20) or ()) > 50
