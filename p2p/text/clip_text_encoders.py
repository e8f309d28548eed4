"""Pair of CLIP text encoders of SDXL and SD3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from p2p.errors import P2PError
from p2p.text.token_windows import clip_window, load_window
from p2p.text.words import TokenizedPrompt


class ClipPair:
    """Two text encoders, each with a window. A position is one token, with the hidden states of both."""

    def __init__(self, folder: Path, pipeline: Any) -> None:
        self.windows = (clip_window(folder), load_window(folder, "tokenizer_2", "text_encoder_2"))
        self.encoders = tuple(
            encoder.eval().requires_grad_(False)
            for encoder in (pipeline.text_encoder, pipeline.text_encoder_2)
        )

    @property
    def limit(self) -> int:
        """S: number of positions."""
        return self.windows[0].limit

    def tokenize(self, prompt: str, cut: bool = False) -> TokenizedPrompt:
        """Finds words and tokens. Raises P2PError if they do not fit, or the tokenizers differ in more than padding."""
        first, second = (window.tokenize(prompt, cut) for window in self.windows)
        if first != second:
            raise P2PError(f"the model's two tokenizers do not agree on {prompt!r}; use other words")
        return first

    def encode(self, prompt: str, cut: bool = False) -> tuple[Tensor, tuple[Any, ...]]:
        """Encodes a prompt: second-to-last hidden states of both, (S, C₁ + C₂), and each encoder's whole output."""
        outputs = tuple(
            encoder(window.ids(prompt, cut).input_ids.to(encoder.device), output_hidden_states=True)
            for window, encoder in zip(self.windows, self.encoders, strict=True)
        )
        return torch.cat([output.hidden_states[-2][0] for output in outputs], dim=-1), outputs
