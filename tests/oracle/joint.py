"""Prompt-to-Prompt in joint attention as the paper writes of hybrid attention: the maps in memory, the text columns of
the pixels' rows edited. Written after the processors of diffusers, in their order of pixels and text."""

from __future__ import annotations

from typing import Any

import torch
from diffusers.models.embeddings import apply_rotary_emb
from torch import Tensor

from tests.oracle.naive import NaiveEdit, edited_maps


class NaiveJointAttention:
    """A processor for rows [source, edit], or [source, edit] unconditional and then conditional.

    ``window`` is the number of text tokens, which are last (SD3) or, with rotary embedding, first (FLUX).
    """

    def __init__(self, edit: NaiveEdit, window: int) -> None:
        self.edit, self.window = edit, window
        self.step = 0

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        image_rotary_emb: tuple[Tensor, Tensor] | None = None,
    ) -> Any:
        def heads(x: Tensor) -> Tensor:
            return x.reshape(*x.shape[:2], attn.heads, -1).transpose(1, 2)

        def normed(norm: Any, x: Tensor) -> Tensor:
            return x if norm is None else norm(x)

        query = normed(attn.norm_q, heads(attn.to_q(hidden_states)))
        key = normed(attn.norm_k, heads(attn.to_k(hidden_states)))
        value = heads(attn.to_v(hidden_states))
        text_first = image_rotary_emb is not None
        if encoder_hidden_states is not None:
            pairs = (
                (query, normed(attn.norm_added_q, heads(attn.add_q_proj(encoder_hidden_states)))),
                (key, normed(attn.norm_added_k, heads(attn.add_k_proj(encoder_hidden_states)))),
                (value, heads(attn.add_v_proj(encoder_hidden_states))),
            )
            query, key, value = (torch.cat(pair[::-1] if text_first else pair, 2) for pair in pairs)
        if image_rotary_emb is not None:
            query, key = (apply_rotary_emb(x, image_rotary_emb) for x in (query, key))
        maps = torch.softmax(query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5, -1).clone()
        tokens, has_text = maps.shape[-1], encoder_hidden_states is not None or text_first
        S = self.window if has_text else 0
        text, pixels = (
            (slice(0, S), slice(S, tokens))
            if text_first
            else (slice(tokens - S, tokens), slice(0, tokens - S))
        )
        source, edited = len(maps) - 2, len(maps) - 1
        given, own = maps[source][:, pixels], maps[edited][:, pixels].clone()
        if has_text:
            own[..., text] = edited_maps(given[..., text], own[..., text], self.edit, self.step)
        if self.step < self.edit.self_steps:
            own[..., pixels] = given[..., pixels]
            if self.edit.unconditional and len(maps) == 4:
                maps[1][:, pixels, pixels] = maps[0][:, pixels, pixels]
        maps[edited][:, pixels] = own
        out = (maps @ value).transpose(1, 2).flatten(2)
        if encoder_hidden_states is None:
            return out if text_first else attn.to_out[0](out)
        of_text = out[:, text]
        return attn.to_out[0](out[:, pixels]), of_text if attn.context_pre_only else attn.to_add_out(of_text)
