"""Prompt-to-Prompt in joint attention, where pixels and text attend to each other in one softmax.

The paper calls it hybrid attention and edits "only the last channels, which refer to text tokens" (Hertz et al. 2022,
section 3.1). With the columns of a pixel's map parted, M = [M_pixels, M_text], Ms the source's and M* the edit's own,
both softmaxes over all columns, the pixels of an edit have

    output = M_pixels · V*_pixels  +  (Ms_text · R + M*_text · D) diag(c) · V*_text

with M_pixels = M*_pixels, or Ms_pixels where self-attention is injected. The queries of the text stay the edit's own.
Columns keep the normalisation that they come from, as in the paper, so a pixel's weights need not sum to 1; where
both kinds are injected and D is 0, they are the source's, and do. (Measured in benchmarks/RESULTS.md:
the sums stay near 1, and forms that bring them to 1 cost more and change what a weight c or a kept word means.)

This is linear in Ms and in M*, so two fused calls with transformed values are enough and no map exists:

    output = softmax(Qs [Ks_pixels, Ks_text]ᵀ/√d) · [w V*_pixels, R diag(c) V*_text]
           + softmax(Q* [K*_pixels, K*_text]ᵀ/√d) · [(1 - w) V*_pixels, D diag(c) V*_text]

with w = 1 where self-attention is injected, 0 elsewhere, and no call for a term whose values are all zero.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from p2p.attention.processor import attention, watched
from p2p.attention.routing import LEAST, Injected, Watch


@dataclass(frozen=True, eq=False)
class JointRouting:
    """The two terms for a batch of B rows over S text tokens, as rows that have them.

    Attributes:
        queries: (M,) int64; rows whose pixels' queries are used.
        own: (N,) int64; rows with a term under their own maps, and ``own_at`` (N,) their places in ``queries``.
        own_pixels: (N, 1, 1, 1); 1 - w.
        Dc: (N, 1, S, 1); D·c as a column.
        taken: (E,) int64; rows with a term under their source's maps.
        source: (E,) int64; those sources, and ``source_at`` (E,) their places in ``queries``.
        taken_pixels: (E, 1, 1, 1); w.
        Rc: (E, 1, S, S); R diag(c).
        watch: as in ``Injected``, by places in ``queries``, or None.
        watched: (W,) int64; the rows that are watched.
    """

    queries: Tensor
    own: Tensor
    own_at: Tensor
    own_pixels: Tensor
    Dc: Tensor
    taken: Tensor
    source: Tensor
    source_at: Tensor
    taken_pixels: Tensor
    Rc: Tensor
    watch: Watch | None
    watched: Tensor


def joint_routing(routing: Injected) -> JointRouting:
    """The terms of joint attention from those of cross- and of self-attention: once a batch, not once a layer."""
    cross, pixels = routing.cross, routing.self_attention
    B, S = len(pixels.at), cross.Rc.shape[-1]
    itself = torch.arange(B, device=pixels.at.device)
    source = pixels.rows[pixels.at]
    w = source != itself
    # A row that the router repeats to fill up comes with zeros, so sums are what the rows have.
    Dc = cross.Dc.new_zeros(B, S, 1).index_add(0, cross.own, cross.Dc)
    Rc = cross.Rc.new_zeros(B, S, S).index_add(0, cross.edited, cross.Rc)
    mixed = Rc.flatten(1).any(1)
    source = torch.where(w, source, itself.index_put((cross.edited,), cross.rows[cross.edited_at]))
    least = LEAST if routing.compiled else 0
    own, has_own = _rows(~w | Dc.flatten(1).any(1), least)
    taken, has_taken = _rows(w | mixed, least)
    watched_rows = own[:0] if routing.watch is None else cross.rows[routing.watch.at]
    queries, _ = _rows(
        torch.zeros_like(w).index_fill(0, torch.cat([own, source[taken], watched_rows]), 1), least
    )
    place = torch.zeros_like(itself).index_put((queries,), torch.arange(len(queries), device=queries.device))
    share = w.to(Rc.dtype)[:, None, None, None]
    return _marked(
        JointRouting(
            queries=queries,
            own=own,
            own_at=place[own],
            own_pixels=(1 - share[own]) * has_own,
            Dc=Dc[own][:, None] * has_own,
            taken=taken,
            source=source[taken],
            source_at=place[source[taken]],
            taken_pixels=share[taken] * has_taken,
            Rc=Rc[taken][:, None] * has_taken,
            watch=None
            if routing.watch is None
            else Watch(place[watched_rows], routing.watch.columns, routing.watch.sums),
            watched=watched_rows,
        ),
        routing.compiled,
    )


def _rows(chosen: Tensor, least: int) -> tuple[Tensor, Tensor]:
    """The rows that are chosen, filled up with a row that counts nothing: (N,), and 1 or 0 (N, 1, 1, 1)."""
    rows = chosen.nonzero().flatten()
    counts = torch.ones_like(rows)
    if missing := max(0, least - len(rows)):
        rows = torch.cat([rows, rows.new_full((missing,), int(rows[0]) if len(rows) else 0)])
        counts = torch.cat([counts, counts.new_zeros(missing)])
    return rows, counts[:, None, None, None]


def _marked(routing: JointRouting, compiled: bool) -> JointRouting:
    if compiled:
        tensors = [getattr(routing, field.name) for field in fields(routing) if field.name != "watch"]
        for tensor in tensors if routing.watch is None else [*tensors, routing.watch.at]:
            # Without a watch nothing is watched, ever.
            if len(tensor):
                torch._dynamo.mark_dynamic(tensor, 0)
    return routing


def joint_attention(q_pixels: Tensor, k: Tensor, v: Tensor, routing: JointRouting) -> Tensor:
    """The outputs of the pixels' queries, (B, H, P, d).

    Args:
        q_pixels: (M, H, P, d), of the rows ``routing.queries``.
        k: (B, H, P + S, d), pixels first, as queries and keys enter the product: after norm and rotary embedding.
        v: (B, H, P + S, d).
        routing: that of the batch.
    """
    P = q_pixels.shape[2]
    v_pixels, v_text = v[:, :, :P], v[:, :, P:]
    kept = torch.cat([routing.own_pixels * v_pixels[routing.own], routing.Dc * v_text[routing.own]], 2)
    taken = torch.cat([routing.taken_pixels * v_pixels[routing.taken], routing.Rc @ v_text[routing.taken]], 2)
    by_own = attention(q_pixels[routing.own_at], k[routing.own], kept)
    by_source = attention(q_pixels[routing.source_at], k[routing.source], taken)
    if routing.watch is not None:
        _watch(q_pixels, k[routing.watched], routing.watch)
    out = v.new_zeros(len(v), *by_own.shape[1:])
    return out.index_add(0, routing.own, by_own).index_add(0, routing.taken, by_source)


def _watch(q_pixels: Tensor, k: Tensor, watch: Watch) -> None:
    """Words' columns among all columns: the pixels' own count nothing."""
    columns = torch.nn.functional.pad(watch.columns, (0, 0, k.shape[2] - watch.columns.shape[1], 0))
    watched(q_pixels[watch.at], k, Watch(torch.arange(len(k), device=k.device), columns, watch.sums))
