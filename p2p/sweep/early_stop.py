"""Early stop: drops edits part of the way by the clean images that the denoiser predicts there.

The clean latents predicted at part of the steps (Song et al. 2021, equation 9) show what an image will be. An edit that
is dropped there costs no more rows, and the others are not affected.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from p2p.device_transfer import to_cpu
from p2p.errors import P2PError
from p2p.sweep.trajectory import Job, Trajectory
from p2p.sweep.tree import count_branches, injected_steps


@dataclass(frozen=True, eq=False)
class PredictedImages:
    """Predicted images of one request.

    Attributes:
        request: the request's index among those that are swept together.
        source: (H, W, 3) uint8.
        edits: (B, H, W, 3) uint8; one for each trajectory at this step.
        members: for each of the B trajectories, the indices of its τ; several if it has not forked yet.
    """

    request: int
    source: NDArray[np.uint8]
    edits: NDArray[np.uint8]
    members: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class EarlyStop:
    """Time of an early stop, and the decision which edits continue.

    Attributes:
        at: fraction of the steps before it, in (0, 1); it comes after the first step and before the last. Sweeps of
            one step and edits that start from the finished source (SDEdit) have no early stop.
        continues: returns for each predicted edit whether it is finished. If none is, the source is dropped as well.

    Raises:
        P2PError: ``at`` is not in (0, 1).
    """

    at: float
    continues: Callable[[PredictedImages], Sequence[bool]]

    def __post_init__(self) -> None:
        if not 0 < self.at < 1:
            raise P2PError(f"early stop at = {self.at} is not in (0, 1)")

    def before_step(self, steps: int) -> int | None:
        """Returns the step before which it comes, None for a sweep of one step."""
        return min(steps - 1, max(1, injected_steps(1.0, self.at, steps))) if steps > 1 else None


Decide = Callable[[int, Tensor, Tensor, tuple[tuple[int, ...], ...]], Sequence[bool]]
"""``EarlyStop.continues`` for latents: the request's index, the source (C, h, w), edits (B, C, h, w), members."""


@dataclass
class EarlyStopBarrier:
    """Holds the jobs of a plan at its early stop until all have arrived, because it is decided on all at once."""

    decide: Decide
    _waiting: dict[int, list[Job]] = field(default_factory=dict)

    @property
    def held(self) -> set[int]:
        """Indices of the plans of which jobs are held."""
        return set(self._waiting)

    def admit(self, job: Job) -> tuple[list[Job], list[Trajectory]]:
        """Returns the jobs that continue and the trajectories that are dropped, both empty until a plan's last job."""
        plan = job[0].plan
        assert plan.early_stop_step is not None
        jobs = self._waiting.setdefault(plan.index, [])
        jobs.append(job)
        arrived = [trajectory for waiting in jobs for trajectory in waiting if not trajectory.is_copy]
        if len(arrived) < 1 + count_branches(plan.branches, plan.early_stop_step):
            return [], []
        del self._waiting[plan.index]
        (source,) = (trajectory for trajectory in arrived if trajectory.branch is None)
        edits = sorted((t for t in arrived if t is not source), key=lambda edit: edit.members)
        predicted = [trajectory.predicted for trajectory in (source, *edits)]
        latents = to_cpu(torch.stack([clean for clean in predicted if clean is not None]))
        decisions = self.decide(plan.index, latents[0], latents[1:], tuple(edit.members for edit in edits))
        dropped = [edit for edit, continues in zip(edits, decisions, strict=True) if not continues]
        if len(dropped) == len(edits):
            dropped = [source, *dropped]
        remaining = [tuple(t for t in waiting if t not in dropped) for waiting in jobs]
        return [waiting for waiting in remaining if waiting], dropped
