"""Checks that captions fit the text encoder."""

from __future__ import annotations

from collections.abc import Callable

from stages.records import CaptionPair

_WORDS = 2**20
"""Words whose tokens are remembered at most."""


def token_limit_check(
    count: Callable[[str], int], limit: int, spaces: bool = True
) -> Callable[[CaptionPair], str]:
    """Returns a function from a pair to the reason why a caption is too long, or "". Instructions are never encoded.

    Args:
        count: the number of tokens of a text, start and end included. Each token stands for at least one character and
            for no more than one word, so a text has at most as many tokens as its words have one by one.
        limit: the number of tokens that the text encoder takes, start and end included.
        spaces: whether a token may stand for a space.
    """
    specials = count("")
    tokens_of = _WordTokens(count, specials)

    def check(pair: CaptionPair) -> str:
        for field, text in (("input", pair.input), ("output", pair.output)):
            # The tokenizer takes longer than all other checks together: it counts only where two bounds do not decide.
            characters = len(text) if spaces else len(text) - text.count(" ")
            if (
                (characters > limit - 2 or not text.isascii())
                and specials + sum(map(tokens_of.__getitem__, text.split(" "))) > limit
                and (tokens := count(text)) > limit
            ):
                return (
                    f"the {field} caption has {tokens} tokens, the model's text encoder takes {limit}: "
                    "shorten it, or cut it with edit.too_long=truncate"
                )
        return ""

    return check


class _WordTokens(dict[str, int]):
    """The number of tokens of each word, counted once, without start and end."""

    def __init__(self, count: Callable[[str], int], specials: int) -> None:
        self._count, self._specials = count, specials

    def __missing__(self, word: str) -> int:
        if len(self) == _WORDS:
            self.clear()
        self[word] = tokens = self._count(word) - self._specials
        return tokens
