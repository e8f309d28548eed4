"""A look at a tree before it is finished: the clean images predicted on the way say which edits go on.

What the denoiser predicts of the clean latents at part of the steps (Song et al. 2021, equation 9) shows what an image
will be. An edit that is left there costs no row more, and changes nothing of those that go on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from p2p.errors import P2PError
from p2p.sweep.trajectory import Job, Walker
from p2p.sweep.transfer import to_cpu
from p2p.sweep.tree import injected_steps, standing


@dataclass(frozen=True, eq=False)
class Predicted:
    """What is predicted of one request's images.

    Attributes:
        request: its place among those that are swept together.
        source: (H, W, 3) uint8.
        edits: (B, H, W, 3) uint8; one for each trajectory that there is by now.
        members: (B) the places of the τ that are that trajectory: several where it is yet to fork.
    """

    request: int
    source: NDArray[np.uint8]
    edits: NDArray[np.uint8]
    members: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Look:
    """When to look, and who goes on.

    Attributes:
        at: the fraction of the steps after which to look, in (0, 1): at least one, and one is left. A sweep of one
            step is not looked at, nor one whose edits set out from the finished source.
        goes_on: for each of the edits predicted whether it is finished. Where none is, the source is left as well.

    Raises:
        P2PError: a fraction that is out of its range.
    """

    at: float
    goes_on: Callable[[Predicted], Sequence[bool]]

    def __post_init__(self) -> None:
        if not 0 < self.at < 1:
            raise P2PError(f"a look at = {self.at} is at no part of the steps; give a fraction in (0, 1)")

    def step(self, steps: int) -> int | None:
        """The step before which to look."""
        return min(steps - 1, max(1, injected_steps(1.0, self.at, steps))) if steps > 1 else None


Decide = Callable[[int, Tensor, Tensor, tuple[tuple[int, ...], ...]], Sequence[bool]]
"""``Look.goes_on`` with latents: of the request's place, the source's (C, h, w), the edits' (B, C, h, w), members."""


@dataclass
class Gate:
    """Holds the jobs of a plan that have come to its look until all have, so that it is decided on all at once."""

    decide: Decide
    _waiting: dict[int, list[Job]] = field(default_factory=dict)

    def admit(self, job: Job) -> tuple[list[Job], list[Walker]]:
        """The jobs that go on, and the walkers that are left: none of either while others of the plan are to come."""
        plan = job[0].plan
        assert plan.look is not None
        waiting = self._waiting.setdefault(plan.index, [])
        waiting.append(job)
        there = [walker for held in waiting for walker in held if not walker.feeds_only]
        if len(there) < 1 + standing(plan.branches, plan.look):
            return [], []
        del self._waiting[plan.index]
        (source,) = (walker for walker in there if walker.branch is None)
        edits = sorted((walker for walker in there if walker is not source), key=_members)
        left = self._left(plan.index, source, edits)
        remaining = [tuple(walker for walker in held if walker not in left) for held in waiting]
        return [held for held in remaining if held], left

    def _left(self, index: int, source: Walker, edits: Sequence[Walker]) -> list[Walker]:
        clean = [walker.clean for walker in (source, *edits) if walker.clean is not None]
        latents = to_cpu(torch.stack(clean))
        going = self.decide(index, latents[0], latents[1:], tuple(map(_members, edits)))
        left = [walker for walker, goes in zip(edits, going, strict=True) if not goes]
        return left if len(left) < len(edits) else [source, *left]


def _members(walker: Walker) -> tuple[int, ...]:
    assert walker.branch is not None
    return walker.branch.members
