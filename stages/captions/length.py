"""Whether the captions of pairs fit the text encoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain, islice

from stages.records import CaptionPair

_WORDS = 2**20
"""Words of which the tokens are remembered."""


def checker(count: Callable[[str], int], limit: int) -> Callable[[Sequence[CaptionPair]], list[str]]:
    """A function from pairs to why the model cannot take each one's captions, or "". Instructions are never encoded.

    Args:
        count: tokens of a text, start and end included; each token stands for a character at least, and none for
            more than a word: a text has no more than its words, between spaces, have one by one.
        limit: tokens that the text encoder takes, start and end included.
    """
    words = _Words(count)
    tokens_of = words.__getitem__

    def check(pairs: Sequence[CaptionPair]) -> list[str]:
        # Counting costs more than all the rest of reading. A short ASCII text fits whatever its tokens are; a longer
        # one fits if the sum of its words does.
        captions = chain([pair.input for pair in pairs], [pair.output for pair in pairs])
        long = [text for text in captions if len(text) > limit - 2 or not text.isascii()]
        tokens, room = map(tokens_of, " ".join(long).split(" ")), limit - words.specials
        doubtful = {text for text in long if sum(islice(tokens, text.count(" ") + 1)) > room}
        return [reason(pair, doubtful) for pair in pairs] if doubtful else [""] * len(pairs)

    def reason(pair: CaptionPair, doubtful: set[str]) -> str:
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
        self.specials = count("")

    def __missing__(self, word: str) -> int:
        if len(self) == _WORDS:
            self.clear()
        self[word] = tokens = self._count(word) - self.specials
        return tokens
