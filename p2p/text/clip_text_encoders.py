"""The two CLIP text encoders that SDXL and SD3 have side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from p2p.errors import P2PError
from p2p.text.token_windows import clip_window, fit, load_window
from p2p.text.words import TokenizedPrompt


class ClipPair:
    """Two text encoders with a window each. A position is one token, with the hidden states of both."""

    def __init__(self, folder: Path, pipeline: Any) -> None:
        self.windows = (clip_window(folder), load_window(folder, "tokenizer_2", "text_encoder_2"))
        self.encoders = tuple(
            encoder.eval().requires_grad_(False)
            for encoder in (pipeline.text_encoder, pipeline.text_encoder_2)
        )

    def fit(self, prompt: str) -> str:
        """The prompt, without the last words if it does not fit. Raises P2PError if not even one word fits."""
        return fit(prompt, self.windows)

    def check(self, prompt: str) -> None:
        """Raises P2PError if the prompt does not fit, or the tokenizers part it differently: padding apart, they
        are meant to be the same."""
        first, second = (window.tokenize(prompt) for window in self.windows)
        if first != second:
            raise P2PError(f"the model's two tokenizers do not agree on {prompt!r}; put it in other words")

    def tokenize(self, prompt: str) -> TokenizedPrompt:
        """Words and tokens. Raises P2PError as ``check`` does."""
        self.check(prompt)
        return self.windows[0].tokenize(prompt)

    def encode(self, prompt: str) -> tuple[Tensor, tuple[Any, ...]]:
        """The second-to-last hidden states of both, (S, C₁ + C₂), and all that each encoder gives."""
        given = tuple(
            encoder(window.ids(prompt).input_ids.to(encoder.device), output_hidden_states=True)
            for window, encoder in zip(self.windows, self.encoders, strict=True)
        )
        return torch.cat([each.hidden_states[-2][0] for each in given], dim=-1), given
