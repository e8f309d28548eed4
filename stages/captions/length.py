"""Whether a pair's captions fit the text encoder."""

from __future__ import annotations

from collections.abc import Callable

from stages.records import CaptionPair

_WORDS = 2**20
"""Words of which the tokens are remembered."""


def checker(count: Callable[[str], int], limit: int) -> Callable[[CaptionPair], str]:
    """A function from a pair to why the model cannot take its captions, or to "". The instruction is never encoded.

    Args:
        count: tokens of a text, start and end included; each token stands for a character at least, and none for
            more than a word: a text has no more than its words, between spaces, have one by one.
        limit: tokens that the text encoder takes, start and end included.
    """
    words = _Words(count)
    tokens_of = words.__getitem__

    def check(pair: CaptionPair) -> str:
        for field, text in (("input", pair.input), ("output", pair.output)):
            # Counting costs more than all the rest of reading. A short ASCII text fits whatever its tokens are;
            # a longer one fits if the sum of its words does.
            if len(text) + 2 <= limit and text.isascii():
                continue
            if words.specials + sum(map(tokens_of, text.split(" "))) <= limit:
                continue
            tokens = count(text)
            if tokens > limit:
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
        self.specials = count("")

    def __missing__(self, word: str) -> int:
        if len(self) == _WORDS:
            self.clear()
        self[word] = tokens = self._count(word) - self.specials
        return tokens
