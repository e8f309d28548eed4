"""Checks of caption pairs: the limit on tokens, and duplicates (dedup)."""

from __future__ import annotations

from collections.abc import Callable

from stages.records import CaptionPair

Check = Callable[[CaptionPair, str], str]
"""A function from a pair and the name of its file to the reason why it is set aside, or ""."""

_WORDS = 2**20
"""Words whose tokens are remembered at most."""


def token_limit_check(count: Callable[[str], int], limit: int, spaces: bool = True) -> Check:
    """Returns the check that both captions fit the text encoder. Instructions are never encoded.

    Args:
        count: the number of tokens of a text, start and end included. Each token stands for at least one character and
            for no more than one word, so a text has at most as many tokens as its words have one by one.
        limit: the number of tokens that the text encoder takes, start and end included.
        spaces: whether a token may stand for a space.
    """
    specials = count("")
    tokens_of = _WordTokens(count, specials)

    def check(pair: CaptionPair, file: str) -> str:
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


def duplicate_check() -> Check:
    """Returns the check that a pair is new. It takes pairs in input order; ten million of them take 1.2 GB."""
    places = dict[int, int]()
    # Lines are counted on from file to file, so that the place of a pair's first record is one small integer.
    starts = [(0, "")]
    place = 0

    def check(pair: CaptionPair, file: str) -> str:
        nonlocal place
        if starts[-1][1] != file:
            starts.append((place, file))
        place = starts[-1][0] + pair.line
        first = places.setdefault(int(pair.id, 16), place)
        if first == place:
            return ""
        start, first_file = next(entry for entry in reversed(starts) if entry[0] < first)
        elsewhere = "" if first_file == file else f" of {first_file}"
        return f"the same caption pair stands on line {first - start}{elsewhere}"

    return check
