"""Trajectories on their way, and which of them have to move together."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from p2p.samplers import State
from p2p.sweep.sweep_plan import SweepPlan
from p2p.sweep.tree import Branch


@dataclass(frozen=True, eq=False)
class Walker:
    """A trajectory on its way: the sampler's state of one row, come to ``step``.

    ``branch`` is None for the source. A source that ``feeds_only`` is a second copy, for branches that do not fit in
    one batch with the first. ``seen`` (P, n) fp32 are the sums so far of the watched words' columns of its maps, None
    where none are watched. ``clean`` (C, h, w) are the clean latents predicted in the step before, after the one that
    its plan says.
    """

    plan: SweepPlan
    state: State
    step: int
    branch: Branch | None = None
    feeds_only: bool = False
    seen: Tensor | None = None
    clean: Tensor | None = None

    @property
    def needs_source(self) -> bool:
        """Whether the source has to be beside it at its next step: it takes its attention, or its latents after."""
        if self.branch is None:
            return False
        return self.plan.blend is not None or bool(self.branch.injection(self.step))

    @property
    def guided(self) -> bool:
        """Whether an unguided row is beside it at its next step."""
        return self.plan.guided[self.step]

    @property
    def columns(self) -> Tensor | None:
        """(S, n): the words whose columns of its maps are watched."""
        watching = self.plan.watching
        if watching is None:
            return None
        return watching.source if self.branch is None else watching.target

    @property
    def rows(self) -> int:
        """Rows in the denoiser's next batch."""
        return 2 if self.guided else 1


# Walkers that have to be in one batch: a source with the branches it feeds, or one walker that is free.
Job = tuple[Walker, ...]
