"""Tokenizers seen as the windows of text encoders."""

from __future__ import annotations

import bisect
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import transformers

from p2p.errors import P2PError
from p2p.text.words import Segment, TokenizedPrompt, spans, words_from_offsets

FLUX_T5_TOKENS = 512


@dataclass(frozen=True, eq=False)
class PromptWindow:
    """A fast tokenizer of transformers, whose prompts are given ``limit`` tokens, start and end included."""

    tokenizer: Any
    limit: int
    spaces: bool = True
    """Whether a space may take a token, or be part of one: CLIP's know none."""

    def count(self, prompt: str) -> int:
        """Tokens of a prompt, start and end included."""
        return len(self.tokenizer(prompt, verbose=False).input_ids)

    def tokenize(self, prompt: str) -> TokenizedPrompt:
        """Words and tokens of a prompt.

        Raises:
            P2PError: the prompt does not fit.
        """
        return tokenize(prompt, (self,))

    def fit(self, prompt: str) -> str:
        """The prompt, without the last words if it does not fit.

        Raises:
            P2PError: not even its first word fits.
        """
        if self.count(prompt) <= self.limit:
            return prompt
        cuts = [prompt[:stop] for _, stop in spans(prompt)]
        kept = bisect.bisect_right(cuts, self.limit, key=self.count)
        while kept and self.count(cuts[kept - 1]) > self.limit:
            kept -= 1
        if not kept:
            raise P2PError(
                f"the prompt {prompt!r} cannot be cut to {self.limit} tokens: its first word has more"
            )
        return cuts[kept - 1]

    def ids(self, prompt: str, cut: bool = False) -> Any:
        """Padded token ids and attention mask, each (1, limit) int64, of a prompt that is ``cut`` at the last token.

        Raises:
            P2PError: the prompt does not fit and is not to be cut.
        """
        if not cut:
            self.check(prompt, self.count(prompt))
        return self.tokenizer(
            prompt, padding="max_length", max_length=self.limit, truncation=cut, return_tensors="pt"
        )

    def check(self, prompt: str, count: int) -> None:
        """Raises P2PError if so many tokens are too many."""
        if count > self.limit:
            raise P2PError(
                f"the prompt {prompt!r} has {count} tokens, the model takes {self.limit}; "
                "shorten it, or cut it with too_long='truncate'"
            )


def load_window(folder: Path, tokenizer: str, text_encoder: str) -> PromptWindow:
    """The window of a CLIP encoder, from the folders of its tokenizer and of its config."""
    loaded = _load(folder / tokenizer)
    config = json.loads((folder / text_encoder / "config.json").read_text(encoding="utf-8"))
    return PromptWindow(loaded, min(loaded.model_max_length, config["max_position_embeddings"]), spaces=False)


def _load(folder: Path) -> Any:
    """The tokenizer, by the class that its own configuration names: transformers' AutoTokenizer imports torch."""
    config = folder / "tokenizer_config.json"
    name = json.loads(config.read_text(encoding="utf-8")).get("tokenizer_class") if config.is_file() else None
    own = getattr(transformers, str(name), None)
    return (own or transformers.AutoTokenizer).from_pretrained(folder, local_files_only=True)


def clip_window(folder: Path) -> PromptWindow:
    """The window of a model's first encoder, a CLIP."""
    return load_window(folder, "tokenizer", "text_encoder")


def t5_window(folder: Path) -> PromptWindow:
    """The window of FLUX's T5, by its pipeline's limit."""
    return load_t5(folder, "tokenizer_2", FLUX_T5_TOKENS)


def load_t5(folder: Path, tokenizer: str, limit: int) -> PromptWindow:
    """The window of a T5 encoder, which has no limit of its own: the pipelines' ``limit``, or the tokenizer's."""
    loaded = _load(folder / tokenizer)
    return PromptWindow(loaded, min(loaded.model_max_length, limit))


def fit(prompt: str, windows: Sequence[PromptWindow]) -> str:
    """The prompt, without the last words if it does not fit into every window.

    Raises:
        P2PError: not even its first word fits.
    """
    for window in windows:
        prompt = window.fit(prompt)
    return prompt


def tokenize(prompt: str, windows: Sequence[PromptWindow], unfilled: int = 0) -> TokenizedPrompt:
    """Words and tokens of a prompt whose windows stand one after the other, and then ``unfilled`` positions.

    Raises:
        P2PError: the prompt does not fit into all of them.
    """
    offsets: list[tuple[int, int] | None] = []
    segments = []
    for window in windows:
        encoded = window.tokenizer(
            prompt, return_offsets_mapping=True, return_special_tokens_mask=True, verbose=False
        )
        count, start = len(encoded.input_ids), len(offsets)
        window.check(prompt, count)
        special = [bool(flag) for flag in encoded.special_tokens_mask]
        segments.append(
            Segment(
                range(start, start + window.limit),
                tuple(start + k for k, flag in enumerate(special) if flag),
            )
        )
        offsets += [
            None if flag else offset for flag, offset in zip(special, encoded.offset_mapping, strict=True)
        ]
        offsets += [None] * (window.limit - count)
    words = words_from_offsets(prompt, offsets)
    if unfilled:
        segments.append(Segment(range(len(offsets), len(offsets) + unfilled), ()))
    return TokenizedPrompt(prompt, words, tuple(segments))
