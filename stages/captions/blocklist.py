"""Words that no caption pair is rendered with."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from conf.messages import error_line
from stages.captions.source import CaptionsError
from stages.records import CaptionPair


def phrases(listed: Iterable[str], file: str | None, group: str = "captions") -> tuple[str, ...]:
    """What is blocked, case-folded, each once, sorted: of a list, and of a file with a word or phrase a line.

    They are the settings ``block`` and ``block_file`` of ``group``. Raises CaptionsError for a file that cannot be
    read, and for an entry without a letter or digit.
    """
    found = list(listed)
    if file:
        try:
            found += [
                line for line in Path(file).read_text(encoding="utf-8-sig").splitlines() if line.strip()
            ]
        except (OSError, UnicodeDecodeError) as error:
            raise CaptionsError(f"{group}.block_file={file} cannot be read: {error_line(error)}") from error
    folded = {phrase: " ".join(phrase.casefold().split()) for phrase in found}
    empty = next((phrase for phrase, text in folded.items() if not re.search(r"\w", text)), None)
    if empty is not None:
        raise CaptionsError(f"{group}.block has {empty!r}, which is no word: leave it out")
    return tuple(sorted(set(folded.values())))


def pattern(blocked: Sequence[str]) -> re.Pattern[str] | None:
    """What finds any of the phrases in a case-folded text: whole words, whatever the spaces between. None of none."""
    if not blocked:
        return None
    # The longest first: of two that begin alike, the reason names what stands there.
    longest = sorted(blocked, key=len, reverse=True)
    spaced = (r"\s+".join(map(re.escape, phrase.split())) for phrase in longest)
    return re.compile(rf"(?<!\w)(?:{'|'.join(spaced)})(?!\w)")


def blocker(blocked: Sequence[str]) -> Callable[[Sequence[CaptionPair]], list[str]]:
    """A function from pairs to why each is not rendered, or "".

    Args:
        blocked: as `phrases` gives them. Whole words are looked for, in the three texts, whatever the case and the
            spaces between words: "art" is not in "cart", nor "arts".
    """
    found_by = pattern(blocked)
    if found_by is None:
        return lambda pairs: [""] * len(pairs)

    def reason(pair: CaptionPair) -> str:
        for field, text in (
            ("input caption", pair.input),
            ("instruction", pair.edit),
            ("output caption", pair.output),
        ):
            if found := found_by.search(text.casefold()):
                return f"the {field} has {' '.join(found[0].split())!r}, which captions.block blocks"
        return ""

    return lambda pairs: [reason(pair) for pair in pairs]
