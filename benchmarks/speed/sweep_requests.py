"""Sweep requests that the speed benchmarks time."""

from __future__ import annotations

import p2p

SOURCE, TARGET = "a photo of a red ball on grass by day", "a photo of a blue ball on grass by day"


def spread_taus(count: int) -> tuple[float, ...]:
    """Values of τ spread evenly over the inside of [0, 1]: .1 … .9 for 9."""
    return tuple((k + 1) / (count + 1) for k in range(count))


def requests(pairs: int, edits: int, steps: int) -> list[p2p.SweepRequest]:
    """One request a caption pair; pairs differ by their seed."""
    taus = spread_taus(edits)
    return [p2p.SweepRequest(SOURCE, TARGET, taus, seed=k, steps=steps, self_gain=0.5) for k in range(pairs)]
