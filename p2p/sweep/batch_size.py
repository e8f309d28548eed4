"""How many rows a batch is to have."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch

from p2p.errors import P2PError
from p2p.sweep.sweep_plan import SweepPlan
from p2p.sweep.tree import Branch

# A source and one branch that it feeds, both guided: what has to fit in a batch.
MIN_BATCH_ROWS = 4

BatchRows = int | Literal["auto"]


def largest(device: torch.device) -> int:
    """Rows to begin with where nothing is known of the memory: more are no faster.

    A GPU says when it is too much, and the executor halves it. The CPU does not, and its caches are full early.
    """
    return 256 if device.type == "cuda" else 32


def batch_rows(asked: BatchRows, plans: Sequence[SweepPlan], limit: int) -> int:
    """The rows of a batch: as asked, or as many as the plans can fill at all of their steps.

    No trajectory is faster than a step a call, so larger batches would not be full. The next power of two keeps the
    shapes few for which a denoiser is compiled.

    Args:
        asked: rows, or "auto".
        plans: what is to run; at least one.
        limit: the most that "auto" may come to.

    Raises:
        P2PError: fewer than 4, or a word other than "auto".
    """
    if isinstance(asked, str) and asked != "auto":
        raise P2PError(f"batch_rows = {asked!r}; name a number of rows or 'auto'")
    if asked != "auto" and asked < MIN_BATCH_ROWS:
        raise P2PError(f"batch_rows = {asked}; a source and its edit take {MIN_BATCH_ROWS} rows")
    if asked != "auto":
        return asked
    at_once = math.ceil(sum(map(rows, plans)) / max(plan.request.steps for plan in plans))
    return min(limit, max(MIN_BATCH_ROWS, 2 ** (at_once - 1).bit_length()))


def rows(plan: SweepPlan) -> int:
    """Rows of a plan's source and branches over all steps: the least that it takes."""
    at = [2 if guided else 1 for guided in plan.guided]

    def below(branch: Branch) -> int:
        return sum(at[branch.start : branch.stop]) + sum(map(below, branch.children))

    return sum(at) + sum(map(below, (*plan.branches, *plan.restarts)))
