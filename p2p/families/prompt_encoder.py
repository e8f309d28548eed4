"""Text side of a family: the words of its prompts, and a cache of their encodings."""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

from p2p.families.family import PROMPTS_CACHED, Conditioning
from p2p.text.words import TokenizedPrompt


class Prompts(Protocol):
    """Tokenizers of a model: ``p2p.text.token_windows.PromptWindow``, or several together."""

    @property
    def limit(self) -> int:
        """S: number of positions, start and end token included."""

    def fit(self, prompt: str) -> str:
        """Cuts the prompt after a word so that it fits."""

    def tokenize(self, prompt: str) -> TokenizedPrompt:
        """Words and tokens. Raises P2PError if the prompt does not fit."""


class PromptEncoder:
    """The methods of ``p2p.families.family.Family`` for prompts; a family adds ``_encode``."""

    def __init__(self, prompts: Prompts) -> None:
        self.prompts = prompts
        self._cached = lru_cache(PROMPTS_CACHED)(self._encode)

    @property
    def window(self) -> int:
        return self.prompts.limit

    def fit(self, prompt: str) -> str:
        return self.prompts.fit(prompt)

    def tokenize(self, prompt: str) -> TokenizedPrompt:
        return self.prompts.tokenize(prompt)

    def encode(self, prompt: str) -> Conditioning:
        return self._cached(prompt)

    def unconditional(self) -> Conditioning:
        return self._cached("")

    def _encode(self, prompt: str) -> Conditioning:
        """Encodes one prompt alone, so that its encoding does not depend on other prompts."""
        raise NotImplementedError
