"""Routing of a batch: the rows whose attention maps each row uses, as the tensors that attention processors read.

A batch has one of two forms: ``PLAIN``, or ``Injected`` with every field filled, so a compiled denoiser has one graph
for each, and a third where columns of maps are summed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import torch
from torch import Tensor

from p2p.device_transfer import to_device


@dataclass(frozen=True, eq=False)
class CrossRouting:
    """Cross-attention of B rows over S text tokens (Hertz et al. 2022, section 3.2) as the sum of two terms.

    Row kept[n] has the term softmax(QKᵀ/√d) · (Dc[n] V) under its own maps. Row injected[e] has the term
    softmax(QKᵀ/√d) · (Rc[e] V) under the maps of its source. A row may have both. A row with neither is padding, and
    its output is not used. Queries and keys are needed for ``rows`` only.

    Attributes:
        rows: (M,) int64; the rows whose maps are used.
        kept: (N,) int64; rows that keep attention of their own, D ≠ 0. A row may be repeated with Dc = 0.
        kept_at: (N,) int64; the position of each in ``rows``.
        Dc: (N, S, 1); D·c as a column, 1 for a row without an edit.
        injected: (E,) int64; rows that take attention from a source. A row may be repeated with Rc = 0.
        injected_at: (E,) int64; the position of each one's source in ``rows``.
        Rc: (E, S, S); R diag(c).
    """

    rows: Tensor
    kept: Tensor
    kept_at: Tensor
    Dc: Tensor
    injected: Tensor
    injected_at: Tensor
    Rc: Tensor


@dataclass(frozen=True, eq=False)
class SelfRouting:
    """Self-attention of B rows: row b uses the maps of row rows[at[b]], its source or itself.

    Attributes:
        rows: (M,) int64; the rows whose maps are used.
        at: (B,) int64; positions in ``rows``.
    """

    rows: Tensor
    at: Tensor


@dataclass(frozen=True, eq=False)
class ColumnSums:
    """Columns of cross-attention maps that are summed while the denoiser runs.

    Attributes:
        at: (W,) int64; positions in ``CrossRouting.rows`` of the maps.
        columns: (W, S, n); the weights with which a map's S columns are added to n sums.
        sums: (W, P, n) fp32 for each size of map. A layer of P pixels adds the mean over its heads, in place, to the
            sums with P pixels.
    """

    at: Tensor
    columns: Tensor
    sums: tuple[Tensor, ...]


@dataclass(frozen=True, eq=False)
class RoutingRows:
    """The rows of a routing as numbers on the host, so that nobody has to wait for a GPU to read them.

    Attributes:
        self_source: for each of B rows, the row whose maps of self-attention it uses.
        kept: rows that keep cross-attention of their own, each once.
        injected: rows that take cross-attention from a source, each once, with those ``sources``.
        summed: rows whose columns are summed, in order.
    """

    self_source: Sequence[int]
    kept: Sequence[int]
    injected: Sequence[int]
    sources: Sequence[int]
    summed: Sequence[int]


@dataclass(frozen=True, eq=False)
class Injected:
    """A batch in which something is injected, re-weighted or summed.

    ``compiled`` says that lengths which vary from batch to batch are at least 2 and marked as dynamic. ``larger`` has a
    routing for layers of more pixels than each limit on self-injection in the batch, by ascending limits. ``on_host``
    has the rows of ``cross``, ``self_attention`` and ``column_sums`` as numbers.
    """

    cross: CrossRouting
    self_attention: SelfRouting
    column_sums: ColumnSums | None = None
    compiled: bool = False
    larger: tuple[tuple[float, SelfRouting], ...] = ()
    on_host: RoutingRows | None = None

    def self_routing(self, pixels: int) -> SelfRouting:
        """Returns the routing of a self-attention layer of this many pixels."""
        routing = self.self_attention
        for limit, larger in self.larger:
            if pixels > limit:
                routing = larger
        return routing


Routing: TypeAlias = Injected | None

# The compiler treats lengths of 0 and 1 as constants and makes a graph for each.
MIN_DYNAMIC_LENGTH: Final = 2
# A batch of rows without edits.
PLAIN: Final = None


@dataclass(frozen=True, eq=False)
class Mixing:
    """Cross-attention of one edited row: Rc = R diag(c) (S, S) and Dc = D·c (S, 1), each None where R or D is zero."""

    Rc: Tensor | None
    Dc: Tensor | None


@dataclass(frozen=True, eq=False)
class RowAttention:
    """Attention of one row before the rows of a batch are stacked. The sources are indices of rows.

    ``cross_source`` counts only with a ``mixing``. ``columns`` (S, n) and ``sums`` (P, n) are the columns of its maps
    to sum and their sums so far, or None. ``self_source`` counts only in layers of at most ``self_limit`` pixels.
    """

    self_source: int
    cross_source: int
    mixing: Mixing | None = None
    columns: Tensor | None = None
    sums: Tensor | None = None
    self_limit: float = math.inf


def make_routing(
    rows: Sequence[RowAttention],
    padding: int,
    window: int,
    device: torch.device,
    dtype: torch.dtype,
    compiled: bool = False,
) -> Routing:
    """Stacks the attention of rows, numbered in order and followed by ``padding`` rows, into the tensors of a batch.

    Args:
        rows: the rows.
        padding: number of rows after them whose output is not used.
        window: S, positions of the text.
        device: of the denoiser.
        dtype: of the denoiser; Rc and Dc have it.
        compiled: whether to mark the lengths that vary from batch to batch for the compiler. The rows whose columns are
            summed are then none or at least two, as a source and its edit are.
    """
    summed = {k: row for k, row in enumerate(rows) if row.columns is not None and row.sums is not None}
    mixings = {k: row.mixing for k, row in enumerate(rows) if row.mixing is not None}
    if not mixings and not summed and all(row.self_source == k for k, row in enumerate(rows)):
        return PLAIN

    def index(values: Iterable[int]) -> Tensor:
        listed = list(values)
        if not compiled:
            return to_device(listed, device)
        listed += [listed[0] if listed else 0] * (MIN_DYNAMIC_LENGTH - len(listed))
        return mark_dynamic(to_device(listed, device))

    def stack(matrices: Iterable[Tensor], shape: tuple[int, int]) -> Tensor:
        stacked = list(matrices)
        if compiled:
            missing = MIN_DYNAMIC_LENGTH - len(stacked)
            stacked += [torch.zeros(shape, device=device, dtype=dtype)] * missing
        if not stacked:
            return torch.zeros(0, *shape, device=device, dtype=dtype)
        return mark_dynamic(torch.stack(stacked)) if compiled else torch.stack(stacked)

    no_edit = torch.ones(window, 1, device=device, dtype=dtype)
    Dc = {k: mixings[k].Dc if k in mixings else no_edit for k in range(len(rows))}
    kept = {k: column for k, column in Dc.items() if column is not None}
    injected = {k: mixing.Rc for k, mixing in mixings.items() if mixing.Rc is not None}
    position = _positions([*kept, *summed, *(rows[k].cross_source for k in injected)])
    cross = CrossRouting(
        rows=index(position),
        kept=index(kept),
        kept_at=index(position[k] for k in kept),
        Dc=stack(kept.values(), (window, 1)),
        injected=index(injected),
        injected_at=index(position[rows[k].cross_source] for k in injected),
        Rc=stack(injected.values(), (window, window)),
    )

    def self_sources(above: float) -> list[int]:
        sources = [row.self_source if row.self_limit > above else k for k, row in enumerate(rows)]
        return sources + [min(sources)] * padding

    def self_routing(above: float) -> SelfRouting:
        sources = self_sources(above)
        self_position = _positions(sources)
        return SelfRouting(
            index(self_position), to_device([self_position[source] for source in sources], device)
        )

    limits = sorted({row.self_limit for row in rows} - {math.inf})
    column_sums = None
    if summed:
        # New tensors: a row's sums are shared by the trajectories that fork from it and must not change.
        columns = torch.stack([row.columns for row in summed.values() if row.columns is not None])
        sums = torch.stack([row.sums for row in summed.values() if row.sums is not None])
        if compiled:
            columns, sums = mark_dynamic(columns), mark_dynamic(sums)
        column_sums = ColumnSums(index(position[k] for k in summed), columns, (sums,))
    larger = tuple((limit, self_routing(limit)) for limit in limits)
    on_host = RoutingRows(
        self_sources(-1),
        list(kept),
        list(injected),
        [rows[k].cross_source for k in injected],
        list(summed),
    )
    return Injected(cross, self_routing(-1), column_sums, compiled, larger, on_host)


def read_rows(routing: Injected) -> RoutingRows:
    """Returns the rows of a routing as numbers; reads them from the device if nobody has kept them."""
    if routing.on_host is not None:
        return routing.on_host
    cross, pixels = routing.cross, routing.self_attention
    rows = cross.rows.tolist()
    injected = dict(zip(cross.injected.tolist(), cross.injected_at.tolist(), strict=True))
    return RoutingRows(
        pixels.rows[pixels.at].tolist(),
        cross.kept.tolist(),
        list(injected),
        [rows[at] for at in injected.values()],
        [] if routing.column_sums is None else [rows[at] for at in routing.column_sums.at.tolist()],
    )


def mark_dynamic(tensor: Tensor) -> Tensor:
    """Marks the tensor for the compiler as one whose first length varies, and returns it."""
    torch._dynamo.mark_dynamic(tensor, 0)
    return tensor


def _positions(rows: Iterable[int]) -> dict[int, int]:
    return {row: position for position, row in enumerate(sorted(set(rows)))}
