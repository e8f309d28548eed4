"""What was written and is not kept: each answer's reason, in the order in which it is looked at."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import p2p
from conf.pairs import Checks
from stages.captions import pattern, phrases
from stages.writers.near import likeness, shingles
from stages.writers.writer import Answer, WriterError

REASONS = {
    "no_stop": "malformed: no stop sequence",
    "no_divider": "malformed: no divider",
    "two_dividers": "malformed: more than one divider",
    "empty_answer": "malformed: instruction or edited caption is empty",
    "many_lines": "malformed: several lines",
    "no_json": "malformed: no JSON object",
    "not_the_schema": "malformed: JSON of another schema",
    "separator_in_caption": "the caption has the separator in it",
    "unknown_caption": "the caption is none of the mini world",
    "same_caption": "the edited caption is the caption",
    "too_long": "the edited caption is too long for the image model",
    "long_instruction": "the instruction has too many words",
    "repeats_caption": "the instruction repeats a caption",
    "unprintable": "characters that a caption must not have",
    "blocked": "a word of the block list",
    "language": "another language",
    "moderation": "refused by the moderation model",
    "near_duplicate": "almost another edit of the caption",
    "near_duplicate_across": "almost a pair of an earlier caption",
}
"""In the order in which an answer meets them."""


class Checker:
    """The checks of ``conf.pairs.Checks`` but the one across captions, which needs them all."""

    def __init__(self, checks: Checks) -> None:
        """Load what checks.

        Raises:
            WriterError: a library or a model that is not there.
            CaptionsError: a block list that is not there.
            p2p.ModelError: the image model has no tokenizer.
        """
        self._checks = checks
        self._window = p2p.load_prompts(checks.model, checks.revision)
        self._blocked = pattern(phrases(checks.block, checks.block_file, "checks"))
        self._language = _language(checks) if checks.language else None
        self._moderation = _moderation(checks) if checks.moderation else None

    def __call__(self, caption: str, answers: Sequence[Answer]) -> list[str]:
        """Of the answers to one caption, in their order: "" for those kept, the reason for each other."""
        reasons: list[str] = []
        kept: list[frozenset[str]] = []
        for answer in answers:
            reason = answer.reason or self._reason(caption, answer)
            own = shingles(f"{answer.instruction} {answer.edited}")
            if not reason and any(self._near(own, other) for other in kept):
                reason = "near_duplicate"
            if not reason:
                kept.append(own)
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
        told = _letters(instruction)
        if _letters(caption) in told or told == _letters(edited):
            return "repeats_caption"
        text = f"{instruction}\n{edited}"
        if self._blocked is not None and self._blocked.search(text.casefold()):
            return "blocked"
        if self._language is not None and not self._language(edited):
            return "language"
        if self._moderation is not None and not self._moderation(text):
            return "moderation"
        return ""

    def _near(self, one: frozenset[str], other: frozenset[str]) -> bool:
        # The very same is a duplicate whatever is looked for: a caption pair must not stand twice in a file.
        return one == other or (
            self._checks.near_duplicate is not None and likeness(one, other) >= self._checks.near_duplicate
        )


def _letters(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


def _language(checks: Checks) -> Callable[[str], bool]:
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError as error:
        raise WriterError(
            f"checks.language={checks.language} needs py3langid: pip install 'pairforge[pairs]', or give null"
        ) from error
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)

    def is_it(text: str) -> bool:
        language, probability = identifier.classify(text)
        return str(language) == checks.language and float(probability) >= checks.language_least

    return is_it


def _moderation(checks: Checks) -> Callable[[str], bool]:
    # Loading takes a second, which those who do not moderate need not wait for.
    from transformers import pipeline

    try:
        classify = pipeline(
            "text-classification", checks.moderation, revision=checks.moderation_revision, top_k=None
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise WriterError(
            f"checks.moderation={checks.moderation} does not load: {' '.join(str(error).split())[:300]}"
        ) from error
    labels = [str(label) for label in classify.model.config.id2label.values()]
    if checks.moderation_label not in labels:
        raise WriterError(
            f"checks.moderation_label={checks.moderation_label} is none of {checks.moderation}: {', '.join(labels)}"
        )

    def is_fine(text: str) -> bool:
        (scores,) = classify([text], truncation=True)
        found = next(one["score"] for one in scores if one["label"] == checks.moderation_label)
        return float(found) <= checks.moderation_most

    return is_fine
