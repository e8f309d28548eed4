"""A stage without a model: each caption pair has four candidates, of which one is kept, with images of random pixels."""

from __future__ import annotations

import numpy as np

from conf.schema import Config
from stages.records import Candidate, Sample, Unit, UnitResult

CANDIDATES = 4
SIDE = 32


class Fake:
    """Makes a unit in a fraction of a millisecond, so that a run costs what its bookkeeping costs."""

    def __init__(self, config: Config, model_fingerprint: str) -> None:
        pass

    def __call__(self, unit: Unit) -> UnitResult:
        """Make the unit."""
        random = np.random.default_rng(unit.index)
        candidates = tuple(
            Candidate(
                pair.id,
                0,
                1,
                tau / 10,
                7.5,
                0.3,
                0.3,
                0.25,
                0.8,
                tau == 5,
                "" if tau == 5 else "other_tau_of_seed",
            )
            for pair in unit.pairs
            for tau in range(4, 4 + CANDIDATES)
        )
        samples = tuple(
            Sample(
                f"{pair.id}-000",
                *random.integers(0, 256, (2, SIDE, SIDE, 3), dtype=np.uint8),
                pair.edit,
                {"pair_id": pair.id, "seed": 1},
            )
            for pair in unit.pairs
        )
        return UnitResult(unit, samples, candidates, (), (), CANDIDATES * len(unit.pairs), {"denoise": 0.001})
