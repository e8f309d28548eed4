"""A tokenizer seen as the window of a text encoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from p2p.errors import P2PError
from p2p.words import TokenizedPrompt, words_from_offsets


@dataclass(frozen=True, eq=False)
class PromptWindow:
    """A fast tokenizer of transformers, whose prompts are given ``limit`` tokens, start and end included."""

    tokenizer: Any
    limit: int

    def count(self, prompt: str) -> int:
        """Tokens of a prompt, start and end included."""
        return len(self.tokenizer(prompt, verbose=False).input_ids)

    def tokenize(self, prompt: str) -> TokenizedPrompt:
        """Words and tokens of a prompt.

        Raises:
            P2PError: the prompt does not fit.
        """
        encoded = self.tokenizer(prompt, return_offsets_mapping=True, verbose=False)
        count = len(encoded.input_ids)
        self._check(prompt, count)
        offsets = [(0, 0), *encoded.offset_mapping[1 : count - 1]]
        return TokenizedPrompt(prompt, words_from_offsets(prompt, offsets), count - 1, self.limit)

    def ids(self, prompt: str) -> Any:
        """Padded token ids and attention mask, each (1, limit) int64.

        Raises:
            P2PError: the prompt does not fit.
        """
        self._check(prompt, self.count(prompt))
        return self.tokenizer(prompt, padding="max_length", max_length=self.limit, return_tensors="pt")

    def _check(self, prompt: str, count: int) -> None:
        if count > self.limit:
            raise P2PError(
                f"the prompt {prompt!r} has {count} tokens, the model takes {self.limit}; shorten it"
            )
