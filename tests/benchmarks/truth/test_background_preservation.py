from __future__ import annotations

from benchmarks.truth.background_preservation import P2P, SDEDIT, Result, curve, table


def test_table_and_curves_are_means():
    results = [
        Result(P2P, 0.4, 30.0, True),
        Result(P2P, 0.4, 20.0, True),
        Result(P2P, 0.4, None, False),
        Result(SDEDIT, 0.5, 15.0, False),
    ]
    assert "| Prompt-to-Prompt | τ = 0.4 | 25.0 | 67% |" in table(results)
    assert curve(results, P2P) == [(0.4, 1.0, 25.0)]
    assert curve(results, SDEDIT) == [(0.5, 0.0, 15.0)]
