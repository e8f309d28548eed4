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

    def tokenize(self, prompt: str, cut: bool = False) -> TokenizedPrompt:
        """Words and tokens. Raises P2PError if the prompt does not fit and ``cut`` is false."""


class PromptEncoder:
    """The methods of ``p2p.families.family.Family`` for prompts; a family adds ``_encode``."""

    def __init__(self, prompts: Prompts) -> None:
        self.prompts = prompts
        self._cached = lru_cache(PROMPTS_CACHED)(self._encode)

    @property
    def window(self) -> int:
        return self.prompts.limit

    def tokenize(self, prompt: str, cut: bool = False) -> TokenizedPrompt:
        return self.prompts.tokenize(prompt, cut)

    def encode(self, prompt: str, cut: bool = False) -> Conditioning:
        return self._cached(prompt, cut)

    def unconditional(self) -> Conditioning:
        return self._cached("", False)

    def _encode(self, prompt: str, cut: bool) -> Conditioning:
        """Encodes one prompt alone, so that its encoding does not depend on other prompts."""
        raise NotImplementedError
