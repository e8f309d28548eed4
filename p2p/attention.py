"""Prompt-to-Prompt inside an attention layer: fused attention with the source's queries and keys, and mixed values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class CrossRouting:
    """Cross-attention of a batch: softmax(Q[source] K[source]ᵀ/√d) · (RcV) + softmax(QKᵀ/√d) · (Dc·V).

    Attributes:
        source: (B,) int64; the row whose queries and keys a row uses: its source's, or its own.
        Rc: (B, S, S); R diag(c), the identity for rows that are left alone.
        Dc: (B, S, 1) or None; D·c as a column, None where no row of the batch has any.
    """

    source: Tensor
    Rc: Tensor
    Dc: Tensor | None


@dataclass(frozen=True)
class Routing:
    """Which rows of a batch take their attention from which; None where no row takes any."""

    cross: CrossRouting | None = None
    self_source: Tensor | None = None  # (B,) int64: the row whose self-attention a row uses


PLAIN = Routing()


class InjectedAttention:
    """The one attention processor of all layers of a denoiser.

    ``routing`` is that of the batch under way. Rows differ by tensors only: nothing here counts layers or steps.
    """

    def __init__(self) -> None:
        self.routing = PLAIN

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
    ) -> Tensor:
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        q, k, v = attn.to_q(hidden_states), attn.to_k(context), attn.to_v(context)
        if encoder_hidden_states is None:
            out = _self_attention(q, k, v, attn.heads, self.routing.self_source)
        else:
            out = _cross_attention(q, k, v, attn.heads, self.routing.cross)
        return attn.to_out[0](out)


def _self_attention(q: Tensor, k: Tensor, v: Tensor, heads: int, source: Tensor | None) -> Tensor:
    if source is None:
        return _attention(q, k, v, heads)
    return _attention(q[source], k[source], v, heads)


def _cross_attention(q: Tensor, k: Tensor, v: Tensor, heads: int, routing: CrossRouting | None) -> Tensor:
    if routing is None:
        return _attention(q, k, v, heads)
    out = _attention(q[routing.source], k[routing.source], routing.Rc @ v, heads)
    if routing.Dc is not None:
        out = out + _attention(q, k, routing.Dc * v, heads)
    return out


def _attention(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """softmax(QKᵀ/√d)V for q (B, P, C), k and v (B, S, C)."""
    q, k, v = (x.view(*x.shape[:2], heads, -1).transpose(1, 2) for x in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
