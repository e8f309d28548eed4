"""Prompt-to-Prompt inside an attention layer: fused attention with the source's queries and keys, and mixed values.

``InjectedAttention`` serves layers with separate self- and cross-attention; ``joint_injection`` serves layers where
pixels and text attend to each other. ``add_column_sums`` takes any queries and keys.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from p2p.attention.routing import PLAIN, ColumnSums, CrossRouting, Routing, SelfRouting

__all__ = [
    "PLAIN",
    "InjectedAttention",
    "Routing",
    "add_column_sums",
    "attention",
    "injected_cross",
    "injected_self",
    "injected_values",
    "join",
    "kept_values",
    "split",
]


class InjectedAttention:
    """Attention processor that all layers of a denoiser share.

    ``routing`` is the routing of the current batch. Rows differ by tensors only: it counts neither layers nor steps.
    """

    def __init__(self) -> None:
        self.routing: Routing = PLAIN

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
    ) -> Tensor:
        routing = self.routing
        # (B, 1, S): hides a text's padding. It is indexed with the keys.
        bias = None if attention_mask is None else attention_mask[:, None]
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        v = split(attn.to_v(context), attn.heads)
        if routing is None:
            q, k = split(attn.to_q(hidden_states), attn.heads), split(attn.to_k(context), attn.heads)
            return attn.to_out[0](join(attention(q, k, v, bias)))
        pixels = routing.self_routing(hidden_states.shape[1])
        rows = (pixels if encoder_hidden_states is None else routing.cross).rows
        q = split(attn.to_q(hidden_states.index_select(0, rows)), attn.heads)
        k = split(attn.to_k(context.index_select(0, rows)), attn.heads)
        bias = None if bias is None else bias.index_select(0, rows)
        if encoder_hidden_states is None:
            return attn.to_out[0](injected_self(q, k, v, pixels))
        if routing.column_sums is not None:
            add_column_sums(q, k, routing.column_sums, bias)
        return attn.to_out[0](injected_cross(q, k, v, routing.cross, bias))


def split(x: Tensor, heads: int) -> Tensor:
    """Splits (B, P, C) into heads, (B, H, P, C/H)."""
    return x.view(*x.shape[:2], heads, -1).transpose(1, 2)


def join(x: Tensor) -> Tensor:
    """Joins heads (B, H, P, d) to (B, P, Hd)."""
    return x.transpose(1, 2).flatten(2)


def attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """Computes softmax(QKᵀ/√d + bias)V (B, H, P, d) for q (B, H, P, d), k and v (B, H, S, d), a bias (B, 1, 1, S)."""
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)


def injected_self(q: Tensor, k: Tensor, v: Tensor, routing: SelfRouting) -> Tensor:
    """Applies the maps of q and k (M, H, P, d) that ``routing`` gives each row to v (B, H, P, d): (B, P, Hd)."""
    return join(attention(q.index_select(0, routing.at), k.index_select(0, routing.at), v))


def injected_cross(
    q: Tensor, k: Tensor, v: Tensor, routing: CrossRouting, bias: Tensor | None = None
) -> Tensor:
    """Applies the edited maps to values: (B, P, Hd) (Hertz et al. 2022, section 3.2).

    Args:
        q: (M, H, P, d), of the rows ``routing.rows``.
        k: (M, H, S, d), of the same rows.
        v: (B, H, S, d).
        routing: the two terms of each row.
        bias: (M, 1, 1, S), or None.
    """

    def attend(at: Tensor, values: Tensor) -> Tensor:
        row_bias = None if bias is None else bias.index_select(0, at)
        return join(attention(q.index_select(0, at), k.index_select(0, at), values, row_bias))

    kept = attend(routing.kept_at, kept_values(v, routing))
    injected = attend(routing.injected_at, injected_values(v, routing))
    out = v.new_zeros(len(v), *kept.shape[1:])
    return out.index_add_(0, routing.kept, kept).index_add_(0, routing.injected, injected)


def kept_values(v: Tensor, routing: CrossRouting) -> Tensor:
    """Computes D diag(c) V (N, H, S, d) of the rows ``routing.kept``, for v (B, H, S, d)."""
    return routing.Dc[:, None] * v.index_select(0, routing.kept)


def injected_values(v: Tensor, routing: CrossRouting) -> Tensor:
    """Computes R diag(c) V (E, H, S, d) of the rows ``routing.injected``, for v (B, H, S, d)."""
    return routing.Rc[:, None] @ v.index_select(0, routing.injected)


def add_column_sums(q: Tensor, k: Tensor, column_sums: ColumnSums, bias: Tensor | None = None) -> None:
    """Adds weighted columns of maps to the sums of as many pixels, in place; no map is stored.

    The columns take the place of values, so the softmax's output is their share of each pixel's attention. They are
    processed ``d`` at a time, because fused kernels want values as wide as queries and keys.

    Args:
        q: (M, H, P, d), of the rows ``CrossRouting.rows``.
        k: (M, H, S, d), of the same rows.
        column_sums: the columns, and the sums for each size of map; sums of other sizes than P do not change.
        bias: (M, 1, 1, S), or None.
    """
    width = q.shape[-1]
    for sums in column_sums.sums:
        if sums.shape[1] != q.shape[2]:
            continue
        row_q, row_k = q.index_select(0, column_sums.at), k.index_select(0, column_sums.at)
        row_bias = None if bias is None else bias.index_select(0, column_sums.at)
        for first in range(0, sums.shape[2], width):
            columns = column_sums.columns[:, None, :, first : first + width]
            v = F.pad(columns, (0, width - columns.shape[-1])).expand(-1, q.shape[1], -1, -1)
            share = attention(row_q, row_k, v.to(q.dtype), row_bias).float().mean(1)
            sums[..., first : first + width] += share[..., : columns.shape[-1]]
