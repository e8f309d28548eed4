"""DDIM inversion: source and edits start from the noise at the end of the image's trajectory.

Guidance amplifies the errors of the inversion, which has none (Mokady et al. 2022, section 3.1), so the source is only
near the image.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from p2p.inversion.inverse_sampler import start_at
from p2p.sweep.sweep_plan import SweepPlan


def start_from_noise(plan: SweepPlan, trajectory: Tensor) -> SweepPlan:
    """Makes the plan that starts from the first latents of a trajectory (T + 1, C, h, w)."""
    return replace(plan, starting=start_at(plan.sampler, trajectory[0]))
