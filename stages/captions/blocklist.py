"""Blocked words and phrases: reads the blocklist of a run, and checks caption pairs against it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from conf.messages import error_line
from stages.captions.pair_checks import Check
from stages.captions.source import CaptionsError
from stages.records import CaptionPair


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
