"""Trajectories that are being denoised, and the jobs that group those which must share a batch."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from p2p.samplers.sampler import State
from p2p.sweep.sweep_plan import SweepPlan
from p2p.sweep.tree import Branch


@dataclass(frozen=True, eq=False)
class Trajectory:
    """A trajectory at one step; it never changes, a step makes a new one.

    Attributes:
        plan: the sweep it belongs to.
        state: the sampler's state of one row.
        step: the next step to make, from 0.
        branch: where it is in the tree of edits, None for the source.
        is_copy: whether it is another copy of the source, for branches that do not fit into a batch with the first.
        column_sums: (P, n) fp32; the sums so far of the columns of its maps in ``plan.map_columns``, or None.
        predicted: (C, h, w) fp32; the clean latents that were predicted at the early stop's step, None elsewhere.
    """

    plan: SweepPlan
    state: State
    step: int
    branch: Branch | None = None
    is_copy: bool = False
    column_sums: Tensor | None = None
    predicted: Tensor | None = None

    @property
    def members(self) -> tuple[int, ...]:
        """Indices of the τ whose edits it is; () for the source."""
        return self.branch.members if self.branch else ()

    @property
    def finished(self) -> bool:
        """True if it has made all steps."""
        return self.step == self.plan.request.steps

    @property
    def needs_source(self) -> bool:
        """True if this or a later step needs the source in the same batch, for injection or for LocalBlend."""
        if self.branch is None:
            return False
        starts_later = self.step < self.plan.last_start
        for_all_steps = self.plan.blend is not None or self.plan.follows
        return for_all_steps or starts_later or bool(self.branch.injection(self.step))

    @property
    def is_stored(self) -> bool:
        """True for a source whose next steps are known and are of use to edits alone."""
        plan = self.plan
        return self.branch is None and plan.stored is not None and self.step >= (plan.early_stop_step or 0)

    @property
    def guided(self) -> bool:
        """True if its next step needs an unconditional row."""
        return self.plan.guided[self.step] and (self.branch is not None or self.plan.source_guided)

    @property
    def guidance_scale(self) -> float:
        """Scale of classifier-free guidance."""
        own = self.plan.source_guidance if self.branch is None else None
        return float(self.plan.request.guidance_scale if own is None else own)

    @property
    def rows(self) -> int:
        """Rows in the denoiser's next batch."""
        return 2 if self.guided else 1


# Trajectories that must be in one batch: a source, first, with branches that need it, or one trajectory alone.
Job = tuple[Trajectory, ...]
