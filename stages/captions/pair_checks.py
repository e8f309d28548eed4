"""Checks of caption pairs: blocked words (the blocklist), the limit on tokens, duplicates (dedup)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from conf.messages import error_line
from stages.captions.source import CaptionsError
from stages.records import CaptionPair

Check = Callable[[CaptionPair, str], str]
"""A function from a pair and the name of its file to the reason why it is set aside, or ""."""

_WORDS = 2**20
"""Words whose tokens are remembered at most."""


def load_blocklist(phrases: Iterable[str], file: str | None, group: str = "captions") -> tuple[str, ...]:
    """Returns the blocked words and phrases of a list and of a file with one a line: case-folded, unique, sorted.

    The arguments are the settings ``block`` and ``block_file`` of ``group``. Raises CaptionsError for a file that
    cannot be read, and for a phrase without a letter or digit.
    """
    phrases = list(phrases)
    if file:
        try:
            phrases += [
                line for line in Path(file).read_text(encoding="utf-8-sig").splitlines() if line.strip()
            ]
        except (OSError, UnicodeDecodeError) as error:
            raise CaptionsError(f"{group}.block_file={file} cannot be read: {error_line(error)}") from error
    folded = {phrase: " ".join(phrase.casefold().split()) for phrase in phrases}
    empty = next((phrase for phrase, text in folded.items() if not re.search(r"\w", text)), None)
    if empty is not None:
        raise CaptionsError(f"{group}.block has {empty!r}, which is no word: leave it out")
    return tuple(sorted(set(folded.values())))


def compile_blocklist(blocked: Iterable[str]) -> re.Pattern[str] | None:
    """Compiles a pattern that finds any of the phrases in a case-folded text; None without phrases.

    Whole words match, whatever the spaces between them: "art" is not in "cart", nor in "arts".
    """
    # The longest first: of two phrases that begin alike, the reason names the whole match.
    spaced = [
        r"\s+".join(map(re.escape, phrase.split())) for phrase in sorted(blocked, key=len, reverse=True)
    ]
    return re.compile(rf"(?<!\w)(?:{'|'.join(spaced)})(?!\w)") if spaced else None


def blocklist_check(blocked: Iterable[str]) -> Check:
    """Returns the check that no text of a pair has one of the phrases, a result of `load_blocklist`."""
    pattern = compile_blocklist(blocked)

    def check(pair: CaptionPair, file: str) -> str:
        texts = {"input caption": pair.input, "instruction": pair.edit, "output caption": pair.output}
        for name, text in texts.items():
            if pattern and (match := pattern.search(text.casefold())):
                return f"the {name} has {' '.join(match[0].split())!r}, which captions.block blocks"
        return ""

    return check


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
