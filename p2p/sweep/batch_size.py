"""Number of rows in a batch of the denoiser."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch

from p2p.errors import P2PError
from p2p.sweep.sweep_plan import SweepPlan
from p2p.sweep.tree import Branch

# A source and one edit that needs it, both guided, must fit in a batch.
MIN_BATCH_ROWS = 4

BatchRows = int | Literal["auto"]


def largest_batch(device: torch.device) -> int:
    """Returns the most rows that "auto" tries first; more are no faster.

    On a GPU the executor halves it if memory is short. On a CPU, larger batches do not fit into the caches.
    """
    return 256 if device.type == "cuda" else 32


def batch_rows(setting: BatchRows, plans: Sequence[SweepPlan], limit: int) -> int:
    """Chooses the number of rows of a batch: the setting, or for "auto" as many as the plans can fill at every step.

    A trajectory makes one step a call, so larger batches would not be full. "auto" is rounded up to a power of two,
    so that a compiled denoiser has few shapes.

    Args:
        setting: rows, or "auto".
        plans: that are swept together; at least one.
        limit: upper bound of "auto".

    Raises:
        P2PError: fewer than 4, or a word other than "auto".
    """
    if isinstance(setting, str) and setting != "auto":
        raise P2PError(f"batch_rows = {setting!r}; give a number of rows or 'auto'")
    if setting != "auto" and setting < MIN_BATCH_ROWS:
        raise P2PError(f"batch_rows = {setting} is too few; a source and its edit need {MIN_BATCH_ROWS} rows")
    if setting != "auto":
        return setting
    steps = max(plan.request.steps * (1 if plan.inversion is None else 2) for plan in plans)
    rows_a_call = math.ceil(sum(map(count_rows, plans)) / steps)
    return min(limit, max(MIN_BATCH_ROWS, 2 ** (rows_a_call - 1).bit_length()))


def count_rows(plan: SweepPlan) -> int:
    """Counts the rows of a plan's source and branches in all steps, without copies of the source."""
    rows_at = [2 if guided else 1 for guided in plan.guided]

    def below(branch: Branch) -> int:
        return sum(rows_at[branch.start : branch.stop]) + sum(map(below, branch.children))

    return sum(rows_at) + sum(map(below, (*plan.branches, *plan.restarts, *plan.forks)))
