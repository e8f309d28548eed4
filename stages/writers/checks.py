"""Checks the answers of a writer, and gives the reason for each that is not kept."""

from __future__ import annotations

import re
from collections.abc import Sequence

import p2p
from conf.pairs import Checks
from stages.captions.blocklist import compile_blocklist, load_blocklist
from stages.writers.base import Answer
from stages.writers.language_id import Language
from stages.writers.minhash import likeness, shingles
from stages.writers.moderation import Moderation

REASONS = {
    "no_stop": "malformed: no stop sequence",
    "no_divider": "malformed: no divider",
    "two_dividers": "malformed: more than one divider",
    "empty_answer": "malformed: instruction or edited caption is empty",
    "many_lines": "malformed: several lines",
    "no_json": "malformed: no JSON object",
    "not_the_schema": "malformed: JSON of another schema",
    "separator_in_caption": "the caption has the separator in it",
    "unknown_caption": "the caption is not of the mini world",
    "same_caption": "the edited caption is the caption",
    "too_long": "the edited caption is too long for the image model",
    "long_instruction": "the instruction has too many words",
    "repeats_caption": "the instruction repeats a caption",
    "unprintable": "characters that a caption must not have",
    "blocked": "a word of the block list",
    "language": "another language",
    "moderation": "refused by the moderation model",
    "near_duplicate": "a near-duplicate of another edit of the caption",
    "near_duplicate_across": "a near-duplicate of a pair of an earlier caption",
}
"""The texts of the reasons, in the order of the checks."""


class Checker:
    """The checks of ``conf.pairs.Checks`` except for near-duplicates across captions, which need all answers."""

    def __init__(self, checks: Checks) -> None:
        """Loads the models of the checks.

        Raises:
            WriterError: a library, a model or a language is missing.
            CaptionsError: the block list is missing.
            p2p.ModelError: the image model has no tokenizer.
        """
        self._checks = checks
        # Equal texts are always duplicates: a caption pair must not stand twice in a file.
        self._near = 1.0 if checks.near_duplicate is None else checks.near_duplicate
        self._window = p2p.load_tokenizer(checks.model, checks.revision, checks.family)
        self._blocked = compile_blocklist(load_blocklist(checks.block, checks.block_file, "checks"))
        self._language = Language(checks.language, checks.language_least) if checks.language else None
        self._moderation = Moderation(checks) if checks.moderation else None

    def __call__(self, caption: str, answers: Sequence[Answer]) -> list[str]:
        """Returns "" for each answer to the caption that is kept, and the reason for each other, in order."""
        reasons: list[str] = []
        kept: list[frozenset[str]] = []
        for answer in answers:
            reason = answer.reason or self._reason(caption, answer)
            runs = shingles(f"{answer.instruction} {answer.edited}")
            if not reason and any(likeness(runs, other) >= self._near for other in kept):
                reason = "near_duplicate"
            if not reason:
                kept.append(runs)
            reasons.append(reason)
        return reasons

    def _reason(self, caption: str, answer: Answer) -> str:
        instruction, edited = answer.instruction, answer.edited
        if not (instruction.isprintable() and edited.isprintable()):
            return "unprintable"
        if _letters(edited) == _letters(caption):
            return "same_caption"
        if self._window.count(edited) > self._window.limit:
            return "too_long"
        if len(instruction.split()) > self._checks.instruction_words:
            return "long_instruction"
        words = _letters(instruction)
        if _letters(caption) in words or words == _letters(edited):
            return "repeats_caption"
        text = f"{instruction}\n{edited}"
        if self._blocked is not None and self._blocked.search(text.casefold()):
            return "blocked"
        if self._language is not None and not self._language(edited):
            return "language"
        if self._moderation is not None and not self._moderation(text):
            return "moderation"
        return ""


def _letters(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))
