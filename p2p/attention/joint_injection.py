"""Prompt-to-Prompt in joint attention, where pixels and text attend to each other in one softmax.

The paper calls it hybrid attention and edits "only the last channels, which refer to text tokens" (Hertz et al. 2022,
section 3.1). Let the columns of a pixel's map be M = [M_pixels, M_text], Ms the source's map and M* the edit's own,
each normalised by a softmax over all columns. The pixels of an edit have

    output = M_pixels · V*_pixels  +  (Ms_text · R + M*_text · D) diag(c) · V*_text

with M_pixels = Ms_pixels where self-attention is injected, and M*_pixels elsewhere. The queries of the text stay the
edit's own. Columns keep the normalisation of their own map, as in the paper, so a pixel's weights need not sum to 1;
where both kinds are injected and D is 0, all columns are the source's and the sum is 1. (benchmarks/RESULTS.md
measures it: the sums stay near 1, and forms that force them to 1 cost more and change the meaning of c and of D.)

This is linear in Ms and in M*, so two fused calls with transformed values are enough and no map is stored:

    output = softmax(Qs [Ks_pixels, Ks_text]ᵀ/√d) · [w V*_pixels, R diag(c) V*_text]
           + softmax(Q* [K*_pixels, K*_text]ᵀ/√d) · [(1 - w) V*_pixels, D diag(c) V*_text]

with w = 1 where self-attention is injected, 0 elsewhere, and no call for a term whose values are all zero.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from p2p.attention.processor import add_column_sums, attention
from p2p.attention.routing import MIN_DYNAMIC_LENGTH, ColumnSums, Injected, mark_dynamic, read_rows
from p2p.device_transfer import to_device


@dataclass(frozen=True, eq=False)
class JointRouting:
    """The two terms of joint attention for a batch of B rows over S text tokens.

    Attributes:
        queries: (M,) int64; rows whose pixels' queries are used.
        kept: (N,) int64; rows with a term under their own maps; ``kept_at`` (N,) are their positions in ``queries``.
        kept_pixels: (N, 1, 1, 1); 1 - w.
        Dc: (N, 1, S, 1); D·c as a column.
        injected: (E,) int64; rows with a term under their source's maps.
        source: (E,) int64; those sources; ``source_at`` (E,) are their positions in ``queries``.
        injected_pixels: (E, 1, 1, 1); w.
        Rc: (E, 1, S, S); R diag(c).
        column_sums: as in ``Injected``, by positions in ``queries``, or None.
        summed: (W,) int64; the rows whose columns are summed.
    """

    queries: Tensor
    kept: Tensor
    kept_at: Tensor
    kept_pixels: Tensor
    Dc: Tensor
    injected: Tensor
    source: Tensor
    source_at: Tensor
    injected_pixels: Tensor
    Rc: Tensor
    column_sums: ColumnSums | None
    summed: Tensor


def make_joint_routing(routing: Injected) -> JointRouting:
    """Combines the routing of cross- and self-attention; it is done once a batch, not once a layer.

    The rows are chosen on the host, so a GPU is not waited for.
    """
    cross, rows = routing.cross, read_rows(routing)
    B, S, device, dtype = len(rows.self_source), cross.Rc.shape[-1], cross.Rc.device, cross.Rc.dtype
    least = MIN_DYNAMIC_LENGTH if routing.compiled else 0
    takes_pixels = [source != k for k, source in enumerate(rows.self_source)]
    of_text, keeps_text = dict(zip(rows.injected, rows.sources, strict=True)), set(rows.kept)
    kept = [k for k in range(B) if not takes_pixels[k] or k in keeps_text]
    injected = [k for k in range(B) if takes_pixels[k] or k in of_text]
    source_of = {k: rows.self_source[k] if takes_pixels[k] else of_text[k] for k in injected}
    kept_weights, injected_weights = _weights(kept, least), _weights(injected, least)
    kept, injected = _filled(kept, least), _filled(injected, least)
    sources = [source_of.get(k, k) for k in injected]
    queries = _filled(sorted({*kept, *sources, *rows.summed}), least)
    position = {row: at for at, row in enumerate(queries[: len(set(queries))])}

    def index(listed: list[int]) -> Tensor:
        return to_device(listed, device)

    def share(values: list[float]) -> Tensor:
        return to_device(values, device).to(dtype)[:, None, None, None]

    # Rows that are repeated to fill up the routing have zeros, so adding them changes nothing.
    Dc = cross.Dc.new_zeros(B, S, 1).index_add(0, cross.kept, cross.Dc)
    Rc = cross.Rc.new_zeros(B, S, S).index_add(0, cross.injected, cross.Rc)
    kept_at, injected_at = index(kept), index(injected)
    joint = JointRouting(
        queries=index(queries),
        kept=kept_at,
        kept_at=index([position[k] for k in kept]),
        kept_pixels=share(
            [float(not takes_pixels[k]) * weight for k, weight in zip(kept, kept_weights, strict=True)]
        ),
        Dc=Dc[kept_at][:, None] * share(kept_weights),
        injected=injected_at,
        source=index(sources),
        source_at=index([position[source] for source in sources]),
        injected_pixels=share(
            [float(takes_pixels[k]) * weight for k, weight in zip(injected, injected_weights, strict=True)]
        ),
        Rc=Rc[injected_at][:, None] * share(injected_weights),
        column_sums=None
        if routing.column_sums is None
        else replace(routing.column_sums, at=index([position[row] for row in rows.summed])),
        summed=index(list(rows.summed)),
    )
    if routing.compiled:
        tensors = [getattr(joint, field.name) for field in fields(joint) if field.name != "column_sums"]
        for tensor in tensors if joint.column_sums is None else [*tensors, joint.column_sums.at]:
            # ``summed`` is empty in every batch without column sums, so its length is a constant there.
            if len(tensor):
                mark_dynamic(tensor)
    return joint


def _filled(rows: list[int], least: int) -> list[int]:
    """Repeats the first row, or row 0, up to ``least`` rows."""
    return rows + (rows[:1] or [0]) * (least - len(rows))


def _weights(rows: list[int], least: int) -> list[float]:
    """Returns 1 for each row, and 0 for each that ``_filled`` adds."""
    return [1.0] * len(rows) + [0.0] * (least - len(rows))


def joint_attention(q_pixels: Tensor, k: Tensor, v: Tensor, routing: JointRouting) -> Tensor:
    """Computes the outputs of the pixels' queries, (B, H, P, d).

    Args:
        q_pixels: (M, H, P, d), of the rows ``routing.queries``.
        k: (B, H, P + S, d), pixels first. Queries and keys are after norm and rotary embedding.
        v: (B, H, P + S, d).
        routing: the two terms of each row.
    """
    P = q_pixels.shape[2]
    v_pixels, v_text = v[:, :, :P], v[:, :, P:]
    r = routing
    kept_values = torch.cat([r.kept_pixels * v_pixels[r.kept], r.Dc * v_text[r.kept]], 2)
    injected_values = torch.cat([r.injected_pixels * v_pixels[r.injected], r.Rc @ v_text[r.injected]], 2)
    kept = attention(q_pixels[r.kept_at], k[r.kept], kept_values)
    injected = attention(q_pixels[r.source_at], k[r.source], injected_values)
    if r.column_sums is not None:
        # The columns of pixels, which come before the text's, have no weight.
        columns = F.pad(r.column_sums.columns, (0, 0, k.shape[2] - r.column_sums.columns.shape[1], 0))
        at = torch.arange(len(r.summed), device=k.device)
        sums = ColumnSums(at, columns, r.column_sums.sums)
        add_column_sums(q_pixels[r.column_sums.at], k[r.summed], sums)
    out = v.new_zeros(len(v), *kept.shape[1:])
    return out.index_add(0, r.kept, kept).index_add(0, r.injected, injected)
