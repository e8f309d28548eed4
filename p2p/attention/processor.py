"""Prompt-to-Prompt inside an attention layer: fused attention with the source's queries and keys, and mixed values.

``InjectedAttention`` serves layers with text and pixels apart; ``joint_injection`` those where they attend to each
other. ``watched`` takes any queries and keys.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from p2p.attention.routing import PLAIN, CrossRouting, Routing, SelfRouting, Watch

__all__ = [
    "PLAIN",
    "InjectedAttention",
    "Routing",
    "attention",
    "injected_cross",
    "injected_self",
    "join",
    "kept_values",
    "split",
    "taken_values",
    "watched",
]


class InjectedAttention:
    """The one attention processor of all layers of a denoiser.

    ``routing`` is that of the batch under way. Rows differ by tensors only: nothing here counts layers or steps.
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
        # Of a text whose padding is not to be seen, (B, 1, S): it counts wherever the keys do.
        bias = None if attention_mask is None else attention_mask[:, None]
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        v = split(attn.to_v(context), attn.heads)
        if routing is None:
            q, k = split(attn.to_q(hidden_states), attn.heads), split(attn.to_k(context), attn.heads)
            return attn.to_out[0](join(attention(q, k, v, bias)))
        rows = (routing.self_attention if encoder_hidden_states is None else routing.cross).rows
        q = split(attn.to_q(hidden_states.index_select(0, rows)), attn.heads)
        k = split(attn.to_k(context.index_select(0, rows)), attn.heads)
        bias = None if bias is None else bias.index_select(0, rows)
        if encoder_hidden_states is None:
            return attn.to_out[0](injected_self(q, k, v, routing.self_attention))
        if routing.watch is not None:
            watched(q, k, routing.watch, bias)
        return attn.to_out[0](injected_cross(q, k, v, routing.cross, bias))


def split(x: Tensor, heads: int) -> Tensor:
    """(B, P, C) as (B, H, P, C/H)."""
    return x.view(*x.shape[:2], heads, -1).transpose(1, 2)


def join(x: Tensor) -> Tensor:
    """(B, H, P, d) as (B, P, Hd)."""
    return x.transpose(1, 2).flatten(2)


def attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """softmax(QKᵀ/√d + bias)V (B, H, P, d) for q (B, H, P, d), k and v (B, H, S, d), and a bias (B, 1, 1, S)."""
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)


def injected_self(q: Tensor, k: Tensor, v: Tensor, routing: SelfRouting) -> Tensor:
    """Every row's values v (B, H, P, d) under the maps of its row of q and k (M, H, P, d): (B, P, Hd)."""
    return join(attention(q.index_select(0, routing.at), k.index_select(0, routing.at), v))


def injected_cross(
    q: Tensor, k: Tensor, v: Tensor, routing: CrossRouting, bias: Tensor | None = None
) -> Tensor:
    """The edit of the maps of q (M, H, P, d), k (M, H, S, d) and, if there is one, a bias (M, 1, 1, S), times the
    values v (B, H, S, d): (B, P, Hd)."""

    def under(at: Tensor, values: Tensor) -> Tensor:
        seen = None if bias is None else bias.index_select(0, at)
        return join(attention(q.index_select(0, at), k.index_select(0, at), values, seen))

    kept = under(routing.own_at, kept_values(v, routing))
    taken = under(routing.edited_at, taken_values(v, routing))
    out = v.new_zeros(len(v), *kept.shape[1:])
    return out.index_add_(0, routing.own, kept).index_add_(0, routing.edited, taken)


def kept_values(v: Tensor, routing: CrossRouting) -> Tensor:
    """D diag(c) V (N, H, S, d) of the rows ``own``, for v (B, H, S, d)."""
    return routing.Dc[:, None] * v.index_select(0, routing.own)


def taken_values(v: Tensor, routing: CrossRouting) -> Tensor:
    """R diag(c) V (E, H, S, d) of the rows ``edited``, for v (B, H, S, d)."""
    return routing.Rc[:, None] @ v.index_select(0, routing.edited)


def watched(q: Tensor, k: Tensor, watch: Watch, bias: Tensor | None = None) -> None:
    """Add the words' columns of the maps of q (M, H, P, d), k (M, H, S, d) and, if there is one, a bias (M, 1, 1, S)
    to the sums of P pixels, if there are.

    The columns take the place of values, so they come out of the softmax without the map that they are columns of.
    They go as many at a time as a head is wide: fused kernels want values of the width of queries and keys.
    """
    width = q.shape[-1]
    for sums in watch.sums:
        if sums.shape[1] != q.shape[2]:
            continue
        q_watched, k_watched = q.index_select(0, watch.at), k.index_select(0, watch.at)
        seen = None if bias is None else bias.index_select(0, watch.at)
        for first in range(0, sums.shape[2], width):
            columns = watch.columns[:, None, :, first : first + width]
            v = F.pad(columns, (0, width - columns.shape[-1])).expand(-1, q.shape[1], -1, -1)
            share = attention(q_watched, k_watched, v.to(q.dtype), seen).float().mean(1)
            sums[..., first : first + width] += share[..., : columns.shape[-1]]
