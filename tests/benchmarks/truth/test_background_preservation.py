from __future__ import annotations

from benchmarks.truth.background_preservation import P2P, SDEDIT, Result, curve, tables


def test_tables_and_curves_are_means():
    results = [
        Result(P2P, 0.4, "colour", 30.0, True, True),
        Result(P2P, 0.4, "colour", 20.0, False, True),
        Result(P2P, 0.4, "style", None, False, False),
        Result(SDEDIT, 0.5, "colour", 15.0, False, False),
    ]
    assert "| Prompt-to-Prompt | τ = 0.4 | 25.0 dB | 33% | 67% |" in tables(results)
    assert curve(results, P2P) == [(0.4, 1.0, 25.0)]
    assert curve(results, SDEDIT) == [(0.5, 0.0, 15.0)]
