"""A stage without a model: each caption pair has four candidates, one of them kept, with images of random noise."""

from __future__ import annotations

import numpy as np

from conf.schema import Config
from stages.records import Candidate, Sample, Unit, UnitResult

TAUS, KEPT, OTHER = (0.4, 0.5, 0.6, 0.7), 0.5, "other_tau_of_seed"
SIDE = 32


class Fake:
    """Makes a unit in a fraction of a millisecond, so that a run costs what its bookkeeping costs."""

    def __init__(self, config: Config, model_fingerprint: str) -> None:
        pass

    def __call__(self, unit: Unit) -> UnitResult:
        """Make the unit."""
        random = np.random.default_rng(unit.index)
        candidates = tuple(
            Candidate(pair.id, 0, 1, tau, 7.5, 0.3, 0.3, 0.25, 0.8, tau == KEPT, "" if tau == KEPT else OTHER)
            for pair in unit.pairs
            for tau in TAUS
        )
        samples = []
        for pair in unit.pairs:
            source, edited = random.integers(0, 256, (2, SIDE, SIDE, 3), dtype=np.uint8)
            metadata = {"pair_id": pair.id, "seed": 1}
            samples.append(Sample(f"{pair.id}-000", source, edited, pair.edit, metadata))
        return UnitResult(unit, tuple(samples), candidates, (), (), len(candidates), {"denoise": 0.001})
