"""Prompt windows: tokenizers with the token limits of text encoders."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from p2p.errors import P2PError
from p2p.text.words import Segment, TokenizedPrompt, words_from_offsets

FLUX_T5_TOKENS = 512


@dataclass(frozen=True, eq=False)
class PromptWindow:
    """A fast tokenizer of transformers and its encoder's ``limit`` of tokens, start and end token included."""

    tokenizer: Any
    limit: int
    spaces: bool = True
    """True if spaces may be tokens or parts of tokens; CLIP ignores them."""

    def count(self, prompt: str) -> int:
        """Counts the tokens of a prompt, start and end token included."""
        return len(self.tokenizer(prompt, verbose=False).input_ids)

    def tokenize(self, prompt: str, cut: bool = False) -> TokenizedPrompt:
        """Finds the words and tokens of a prompt; ``cut`` drops tokens that do not fit.

        Raises:
            P2PError: the prompt does not fit and ``cut`` is false.
        """
        return tokenize(prompt, (self,), cut=cut)

    def ids(self, prompt: str, cut: bool = False) -> Any:
        """Encodes a prompt to padded token ids and mask, each (1, limit) int64; ``cut`` drops tokens that do not fit.

        Raises:
            P2PError: the prompt does not fit and ``cut`` is false.
        """
        if not cut:
            self.check(prompt, self.count(prompt))
        return self.tokenizer(
            prompt, padding="max_length", max_length=self.limit, truncation=cut, return_tensors="pt"
        )

    def check(self, prompt: str, count: int) -> None:
        """Checks a count of tokens. Raises P2PError, which names the prompt, if it is over the limit."""
        if count > self.limit:
            raise P2PError(
                f"the prompt {prompt!r} has {count} tokens, the model takes {self.limit}; "
                "shorten it, or cut it with too_long='truncate'"
            )


def load_window(folder: Path, tokenizer: str, text_encoder: str) -> PromptWindow:
    """Loads the window of a CLIP encoder, from the folders of its tokenizer and of its config."""
    loaded = _load_tokenizer(folder / tokenizer)
    config = json.loads((folder / text_encoder / "config.json").read_text(encoding="utf-8"))
    return PromptWindow(loaded, min(loaded.model_max_length, config["max_position_embeddings"]), spaces=False)


def _load_tokenizer(folder: Path) -> Any:
    """Loads a tokenizer by the class named in its config, because transformers' AutoTokenizer imports torch."""
    # Imported here, because it takes most of a second, which a command that loads no tokenizer need not wait for.
    import transformers

    config = folder / "tokenizer_config.json"
    name = json.loads(config.read_text(encoding="utf-8")).get("tokenizer_class") if config.is_file() else None
    tokenizer_class = getattr(transformers, str(name), None)
    return (tokenizer_class or transformers.AutoTokenizer).from_pretrained(folder, local_files_only=True)


def clip_window(folder: Path) -> PromptWindow:
    """Loads the window of a model's first text encoder, a CLIP."""
    return load_window(folder, "tokenizer", "text_encoder")


def t5_window(folder: Path, limit: int = FLUX_T5_TOKENS) -> PromptWindow:
    """Loads the window of FLUX's T5, with the limit of its pipeline."""
    return load_t5(folder, "tokenizer_2", limit)


def load_t5(folder: Path, tokenizer: str, limit: int) -> PromptWindow:
    """Loads the window of a T5 encoder, whose limit is the pipeline's ``limit`` or the tokenizer's, if that is less."""
    loaded = _load_tokenizer(folder / tokenizer)
    return PromptWindow(loaded, min(loaded.model_max_length, limit))


def tokenize(
    prompt: str, windows: Sequence[PromptWindow], unfilled: int = 0, cut: bool = False
) -> TokenizedPrompt:
    """Finds the words and tokens of a prompt in consecutive windows, followed by ``unfilled`` positions without tokens.

    ``cut`` drops tokens that do not fit, as diffusers does: each window keeps its end token, and the last word may lose
    some of its tokens.

    Raises:
        P2PError: the prompt does not fit into a window and ``cut`` is false.
    """
    offsets: list[tuple[int, int] | None] = []
    segments = []
    for window in windows:
        encoded = window.tokenizer(
            prompt,
            return_offsets_mapping=True,
            return_special_tokens_mask=True,
            truncation=cut,
            max_length=window.limit if cut else None,
            verbose=False,
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
