from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from miniworld.calibrate import FAULTS, RECALL, Truth, find_thresholds, passes, scores


def _truth(seed: int, gap: float) -> Truth:
    rng = np.random.default_rng(seed)
    true = rng.normal(0.7, 0.05, (4, 200))
    return Truth(
        np.full(200, "colour"), true, {fault: rng.normal(0.7 - gap, 0.05, (4, 200)) for fault in FAULTS}
    )


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1), st.floats(0, 0.5))
def test_thresholds_let_nine_of_ten_true_edits_pass(seed: int, gap: float) -> None:
    truth = _truth(seed, gap)
    thresholds = find_thresholds(truth)
    assert passes(truth.true, thresholds).mean() >= RECALL


def test_thresholds_separate_what_can_be_separated() -> None:
    truth = _truth(0, gap=0.4)
    thresholds = find_thresholds(truth)
    assert all(passes(values, thresholds).mean() == 0 for values in truth.false.values())


def test_scores_are_the_published_four() -> None:
    generator = torch.Generator().manual_seed(0)
    i0, i1, t0, t1 = (F.normalize(torch.randn(5, 8, generator=generator), dim=-1) for _ in range(4))
    values = scores(i0, i1, t0, t1)
    for n in range(5):
        a, b = (i1 - i0)[n].double().numpy(), (t1 - t0)[n].double().numpy()
        expected = (
            i0[n] @ t0[n],
            i1[n] @ t1[n],
            a @ b / np.linalg.norm(a) / np.linalg.norm(b),
            i0[n] @ i1[n],
        )
        assert np.allclose(values[:, n], [float(value) for value in expected], atol=1e-5)
