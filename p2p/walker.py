"""Trajectories on their way, and which of them have to move together."""

from __future__ import annotations

from dataclasses import dataclass

from p2p.plan import SweepPlan
from p2p.samplers import State
from p2p.tree import Branch


@dataclass(frozen=True, eq=False)
class Walker:
    """A trajectory on its way: the sampler's state of one row, come to ``step``.

    ``branch`` is None for the source. A source that ``feeds_only`` is a second copy, for injected branches that do not
    fit in one batch with the first.
    """

    plan: SweepPlan
    state: State
    step: int
    branch: Branch | None = None
    feeds_only: bool = False

    @property
    def injected(self) -> bool:
        """Whether its next step needs the source beside it."""
        return self.branch is not None and bool(self.branch.injection(self.step))

    @property
    def rows(self) -> int:
        """Rows in the denoiser's batch."""
        return 2 if self.plan.guided else 1


# Walkers that have to be in one batch: a source with the branches it feeds, or one walker that is free.
Job = tuple[Walker, ...]
