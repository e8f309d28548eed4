"""Sweeps for pictures, from the best of several seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

import filters
import p2p

STEPS, GUIDANCE = 20, 5.0


@dataclass(frozen=True)
class Studio:
    """The models, and how many seeds are tried for a figure."""

    editor: p2p.Editor
    clip: filters.Clip
    seeds: int

    def best(self, requests: Sequence[p2p.SweepRequest], contrast: bool = False) -> list[p2p.Sweep]:
        """The sweeps of the seed that CLIP finds best for all these requests together.

        How well source and edits show their captions, the edits the change of caption, and how like their source they
        are, added up. With ``contrast`` an edit with nothing injected counts by how unlike its source it is, so that
        the difference shows beside the others.
        """
        asked = [
            replace(request, seed=seed, steps=STEPS, guidance_scale=GUIDANCE)
            for seed in range(self.seeds)
            for request in requests
        ]
        sweeps = self.editor.sweep_many(asked)
        marks = np.array([self._mark(*made, contrast) for made in zip(asked, sweeps, strict=True)])
        seed = int(marks.reshape(self.seeds, -1).mean(1).argmax())
        return sweeps[seed * len(requests) : (seed + 1) * len(requests)]

    def _mark(self, request: p2p.SweepRequest, sweep: p2p.Sweep, contrast: bool) -> float:
        n = len(sweep.edits)
        scores = self.clip.score(
            [sweep.source] * n, list(sweep.edits), [request.source] * n, [request.target] * n
        )
        changed = scores.clip_sim_dir if request.source != request.target else 0.0
        alike = np.where(contrast & (np.array(request.taus) == 0), -1, 1) * scores.clip_sim_image
        return float(np.mean(scores.clip_sim_0 + scores.clip_sim_1 + changed + alike))
