from __future__ import annotations

import numpy as np

from benchmarks.truth.word_maps import segment


def test_map_is_cut_at_share_of_its_range():
    heat = np.array([[0.2, 0.3], [0.5, 1.2]])
    assert segment(heat, 0.25).tolist() == [[False, False], [True, True]]
    assert segment(heat, 0.0).all()
