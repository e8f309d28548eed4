"""Whether the captions of pairs fit the text encoder."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stages.records import CaptionPair

_WORDS = 2**20
"""Words of which the tokens are remembered."""


def checker(
    count: Callable[[str], int], limit: int, spaces: bool = True
) -> Callable[[Sequence[CaptionPair]], list[str]]:
    """A function from pairs to why the model cannot take each one's captions, or "". Instructions are never encoded.

    Args:
        count: tokens of a text, start and end included; each token stands for a character at least, and none for
            more than a word: a text has no more than its words, between spaces, have one by one.
        limit: tokens that the text encoder takes, start and end included.
        spaces: whether a space may be one of the characters that a token stands for.
    """
    words, most = _Words(count), limit - 2

    def check(pairs: Sequence[CaptionPair]) -> list[str]:
        # Counting costs more than all the rest of reading. A short ASCII text fits whatever its tokens are; a longer
        # one fits if the sum of its words does.
        captions = chain([pair.input for pair in pairs], [pair.output for pair in pairs])
        long = [
            text
            for text in captions
            if (len(text) > most and (spaces or len(text) - text.count(" ") > most)) or not text.isascii()
        ]
        doubtful = {long[index] for index in words.above(limit, long)} if long else ()
        return [reason(pair, doubtful) for pair in pairs] if doubtful else [""] * len(pairs)

    def reason(pair: CaptionPair, doubtful: Collection[str]) -> str:
        for field, text in (("input", pair.input), ("output", pair.output)):
            if text in doubtful and (tokens := count(text)) > limit:
                return (
                    f"the {field} caption has {tokens} tokens, the model's text encoder takes {limit}: "
                    "shorten it, or cut it with edit.too_long=truncate"
                )
        return ""

    return check


class _Words(dict[str, int]):
    """Words with the number of their tokens, start and end not included: counted once each."""

    def __init__(self, count: Callable[[str], int]) -> None:
        self._count = count
        self._specials = count("")

    def above(self, limit: int, texts: Sequence[str]) -> list[int]:
        """The indices of the texts whose words have more tokens together, start and end included."""
        split = pc.split_pattern(pa.array(texts), " ")
        words = split.values.dictionary_encode()
        tokens = np.array([self[word] for word in words.dictionary.to_pylist()])[words.indices]
        sums = np.add.reduceat(tokens, split.offsets[:-1])
        return np.flatnonzero(sums > limit - self._specials).tolist()

    def __missing__(self, word: str) -> int:
        if len(self) == _WORDS:
            self.clear()
        self[word] = tokens = self._count(word) - self._specials
        return tokens
