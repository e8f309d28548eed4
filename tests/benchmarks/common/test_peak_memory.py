from __future__ import annotations

import numpy as np

from benchmarks.common.peak_memory import process_peak, with_peak


def test_the_peak_counts_what_a_call_holds_and_frees():
    def call() -> int:
        return len(np.ones(64 * 2**20, np.uint8))

    result, peak = with_peak(call)
    assert result == 64 * 2**20
    assert 60 < peak < 100
    assert process_peak() > peak
