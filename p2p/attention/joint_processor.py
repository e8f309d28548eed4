"""Attention processor of transformers with joint attention: all kinds of blocks of SD3 and FLUX."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.models.embeddings import apply_rotary_emb
from torch import Tensor

from p2p.attention.joint_injection import JointRouting, joint_attention, make_joint_routing
from p2p.attention.processor import attention, injected_self, join, split
from p2p.attention.routing import Routing, SelfRouting

# Cosines and sines (P + S, d) of rotary embedding.
Rotary = tuple[Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class Projections:
    """A layer's projections of pixels or of text, with the norms of its queries and keys or None."""

    q: Any
    k: Any
    v: Any
    norm_q: Any
    norm_k: Any
    heads: int

    def queries(self, x: Tensor, rotary: Rotary | None) -> Tensor:
        """Computes queries (B, H, P, d) of x (B, P, C), after norm and rotary embedding."""
        return _positioned(split(self.q(x), self.heads), self.norm_q, rotary)

    def keys(self, x: Tensor, rotary: Rotary | None) -> Tensor:
        """Computes keys (B, H, P, d) of x (B, P, C), after norm and rotary embedding."""
        return _positioned(split(self.k(x), self.heads), self.norm_k, rotary)

    def values(self, x: Tensor) -> Tensor:
        """Computes values (B, H, P, d) of x (B, P, C)."""
        return split(self.v(x), self.heads)


class JointAttention:
    """Attention processor that all layers of a transformer share.

    It serves blocks with two streams (hidden states of pixels and of text), blocks with one stream (text, then pixels,
    with rotary embedding), and attention among the pixels alone. ``window`` is S, the positions of the text.
    """

    def __init__(self, window: int) -> None:
        self.window = window
        self.joint: JointRouting | None = None
        self.pixels_only: SelfRouting | None = None

    @contextmanager
    def routed(self, routing: Routing) -> Iterator[None]:
        """Sets the layers' routing for one call of the denoiser."""
        if routing is not None:
            self.joint, self.pixels_only = make_joint_routing(routing), routing.self_attention
        try:
            yield
        finally:
            self.joint = self.pixels_only = None

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        image_rotary_emb: Rotary | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]:
        of_pixels = Projections(attn.to_q, attn.to_k, attn.to_v, attn.norm_q, attn.norm_k, attn.heads)
        if encoder_hidden_states is None and image_rotary_emb is None:
            return attn.to_out[0](self._pixels_only(of_pixels, hidden_states))
        if encoder_hidden_states is None:
            text, pixels = hidden_states[:, : self.window], hidden_states[:, self.window :]
            pixels, text = self._joint(of_pixels, pixels, of_pixels, text, image_rotary_emb)
            return torch.cat([text, pixels], 1)
        of_text = Projections(
            attn.add_q_proj,
            attn.add_k_proj,
            attn.add_v_proj,
            attn.norm_added_q,
            attn.norm_added_k,
            attn.heads,
        )
        pixels, text = self._joint(of_pixels, hidden_states, of_text, encoder_hidden_states, image_rotary_emb)
        # The last block of SD3 discards the text.
        return attn.to_out[0](pixels), text if attn.context_pre_only else attn.to_add_out(text)

    def _joint(
        self,
        of_pixels: Projections,
        pixels: Tensor,
        of_text: Projections,
        text: Tensor,
        rotary: Rotary | None,
    ) -> tuple[Tensor, Tensor]:
        S, P = text.shape[1], pixels.shape[1]
        by_pixels, by_text = _split_rotary(rotary, S)
        k = torch.cat([of_pixels.keys(pixels, by_pixels), of_text.keys(text, by_text)], 2)
        v = torch.cat([of_pixels.values(pixels), of_text.values(text)], 2)
        q_text = of_text.queries(text, by_text)
        if self.joint is None:
            out = attention(torch.cat([of_pixels.queries(pixels, by_pixels), q_text], 2), k, v)
            return join(out[:, :, :P]), join(out[:, :, P:])
        q_pixels = of_pixels.queries(pixels[self.joint.queries], by_pixels)
        return join(joint_attention(q_pixels, k, v, self.joint)), join(attention(q_text, k, v))

    def _pixels_only(self, of_pixels: Projections, pixels: Tensor) -> Tensor:
        v = of_pixels.values(pixels)
        if self.pixels_only is None:
            return join(attention(of_pixels.queries(pixels, None), of_pixels.keys(pixels, None), v))
        mapped = pixels[self.pixels_only.rows]
        q, k = of_pixels.queries(mapped, None), of_pixels.keys(mapped, None)
        return injected_self(q, k, v, self.pixels_only)


def _positioned(x: Tensor, norm: Any, rotary: Rotary | None) -> Tensor:
    x = x if norm is None else norm(x)
    return x if rotary is None else apply_rotary_emb(x, rotary, sequence_dim=2)


def _split_rotary(rotary: Rotary | None, S: int) -> tuple[Rotary | None, Rotary | None]:
    """Splits the embedding into that of the pixels and that of the text, which comes first in ``rotary``."""
    if rotary is None:
        return None, None
    cos, sin = rotary
    return (cos[S:], sin[S:]), (cos[:S], sin[:S])
