"""Which rows of a batch take attention from which, as tensors alone: what attention processors are handed.

A batch has one of two forms: ``PLAIN``, or ``Injected`` with every field filled, so a compiled denoiser has one graph
for each, and a third where words are watched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from torch import Tensor


@dataclass(frozen=True, eq=False)
class CrossRouting:
    """Maps of a batch of B rows over S text tokens, Hertz et al. 2022, section 3.2, as the sum of two terms.

    For row own[n], softmax(QKᵀ/√d) · (Dc[n] V) under its own maps. For row edited[e], softmax(QKᵀ/√d) · (Rc[e] V) under
    the maps of its source. A row may be in both; one that is in neither is padding, and nothing of it is used. Queries
    and keys are needed of ``rows`` alone.

    Attributes:
        rows: (M,) int64; the rows whose maps are used.
        own: (N,) int64; rows that keep attention of their own, D ≠ 0. A row may come again with Dc = 0.
        own_at: (N,) int64; the place of each in ``rows``.
        Dc: (N, S, 1); D·c as a column, 1 for a row that is left alone.
        edited: (E,) int64; rows that take from a source. A row may come again with Rc = 0.
        edited_at: (E,) int64; the place of the source of each in ``rows``.
        Rc: (E, S, S); R diag(c).
    """

    rows: Tensor
    own: Tensor
    own_at: Tensor
    Dc: Tensor
    edited: Tensor
    edited_at: Tensor
    Rc: Tensor


@dataclass(frozen=True, eq=False)
class SelfRouting:
    """Maps among the pixels of B rows: row b has those of row rows[at[b]], its source's or its own.

    Attributes:
        rows: (M,) int64; the rows whose maps are used.
        at: (B,) int64; places in ``rows``.
    """

    rows: Tensor
    at: Tensor


@dataclass(frozen=True, eq=False)
class Watch:
    """Words whose columns of the maps are added up while the denoiser runs.

    Attributes:
        at: (W,) int64; the places in ``CrossRouting.rows`` of the maps that are watched.
        columns: (W, S, n); the weights with which a map's S columns are added to n.
        sums: (W, P, n) fp32 for each size of map that is watched: a layer of P pixels adds the mean over its heads to
            the sums with as many, in place.
    """

    at: Tensor
    columns: Tensor
    sums: tuple[Tensor, ...]


@dataclass(frozen=True, eq=False)
class Injected:
    """A batch in which something is injected, weighted or watched.

    ``compiled`` says that lengths which vary from batch to batch are two at least and marked as dynamic.
    """

    cross: CrossRouting
    self_attention: SelfRouting
    watch: Watch | None = None
    compiled: bool = False


Routing: TypeAlias = Injected | None

# Lengths from which on the compiler takes them for variable.
LEAST: Final = 2
# A batch in which every row is left alone.
PLAIN: Final = None
