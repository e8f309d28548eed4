"""Options of a caption pair: reads and validates the fields that change how its images are made."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from stages.captions.pair_checks import Check
from stages.records import CaptionPair

if TYPE_CHECKING:
    from p2p.models.model_limits import ModelLimits
    from p2p.text.token_windows import PromptWindow

_SHOWN = 60
"""Characters of a wrong value that its reason shows."""
_BLEND_TEXTS = ("source", "target", "subtract")
_BLEND_SHARES = ("threshold", "start")


def parse_options(values: Mapping[str, Any], cells: bool = False) -> dict[str, Any] | str:
    """Returns the options among a record's fields in their canonical form, or the reason why one is wrong.

    Null is no option. A text is the JSON of an option that is not a text itself. In the ``cells`` of CSV, which has no
    null, an empty text is no option.
    """
    options = {}
    for name, value in values.items():
        if value is None or (cells and not value.strip()):
            continue
        read, form = OPTIONS[name]
        try:
            options[name] = read(json.loads(value) if isinstance(value, str) and read is not _text else value)
        except (ValueError, TypeError, OverflowError, RecursionError):
            return f"field {name!r} is {_shown(value)}: give {form}, or leave it out"
    return options


def options_check(prompts: PromptWindow, limits: ModelLimits, **settings: str) -> Check:
    """Returns the check that a pair's options fit its captions and the run's model.

    Args:
        prompts: the model's tokenizer.
        limits: what the model can do.
        settings: the run's ``method`` and ``too_long``, as in ``p2p.SweepRequest``.
    """

    def check(pair: CaptionPair, file: str) -> str:
        if not pair.options:
            return ""
        # Imported here, because it imports torch, which takes seconds.
        from p2p.sweep.option_check import find_problem

        return find_problem(pair.input, pair.output, json.loads(pair.options), prompts, limits, **settings)

    return check


def _shown(value: Any) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, TypeError, RecursionError):
        text = f"a {type(value).__name__}"
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    value.encode()  # half of a surrogate pair raises ValueError
    return value


def _word(value: Any) -> str:
    if not _text(value).strip():
        raise ValueError
    return str(value)


def _words(value: Any) -> list[str]:
    if not isinstance(value, list | tuple):
        raise TypeError
    return [_word(word) for word in value]


def _word_or_words(value: Any) -> str | list[str]:
    return _word(value) if isinstance(value, str) else _words(value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError
    return float(value)


def _share(value: Any) -> float:
    number = _number(value)
    if not 0 <= number <= 1:
        raise ValueError
    return number


def _positive_share(value: Any) -> float:
    number = _share(value)
    if number == 0:
        raise ValueError
    return number


def _numbers_by_word(read: Callable[[Any], float]) -> Callable[[Any], dict[str, float]]:
    def read_numbers(value: Any) -> dict[str, float]:
        numbers = {_word(word): read(number) for word, number in _mapping(value).items()}
        if not numbers:
            raise ValueError
        return numbers

    return read_numbers


def _mapping(value: Any) -> dict[str, Any]:
    """Reads an object, a struct of Arrow, in which an absent field is null, or a map of Arrow, a list of tuples."""
    if isinstance(value, list) and all(isinstance(entry, tuple) for entry in value):
        value = dict(value)
    if not isinstance(value, dict):
        raise TypeError
    return {name: entry for name, entry in value.items() if entry is not None}


def _phrase_pairs(value: Any) -> list[list[str]]:
    if not isinstance(value, list) or not value or not all(len(_words(pair)) == 2 for pair in value):
        raise ValueError
    return [_words(pair) for pair in value]


def _blend(value: Any) -> dict[str, Any]:
    if isinstance(value, list) and len(value) == 2 and not isinstance(value[0], tuple):
        value = {"source": value[0], "target": value[1]}
    blend = _mapping(value)
    readers: dict[str, Callable[[Any], Any]] = {
        **dict.fromkeys(_BLEND_TEXTS, _word_or_words),
        **dict.fromkeys(_BLEND_SHARES, _share),
        "interpolation": _interpolation,
    }
    if not {"source", "target"} <= blend.keys() <= readers.keys() or not (
        blend["source"] and blend["target"]
    ):
        raise ValueError
    return {name: readers[name](entry) for name, entry in blend.items()}


def _interpolation(value: Any) -> str:
    if value not in ("bilinear", "nearest"):
        raise ValueError
    return str(value)


OPTIONS: Mapping[str, tuple[Callable[[Any], Any], str]] = {
    "alignment": (
        _phrase_pairs,
        'pairs of a phrase of the input and one of the output, as [["red ball", "blue box"]]',
    ),
    "blend": (
        _blend,
        'words of the input and of the output, as ["ball", "box"], or an object with source, target and, if wanted, '
        "subtract, threshold and start (from 0 to 1), interpolation (bilinear or nearest)",
    ),
    "negative_prompt": (_text, "a text"),
    "only": (_words, 'a list of words of the output, as ["ball"]'),
    "reweight": (_numbers_by_word(_number), 'a factor for each of some words of the output, as {"red": 2}'),
    "self_max_size": (_positive_share, "a number over 0 and at most 1"),
    "word_taus": (
        _numbers_by_word(_share),
        'a τ from 0 to 1 for each of some words of the output, as {"ball": 0.3}',
    ),
}
"""The fields that are options: the function that reads one, and the words for what it takes.

They have the names of ``p2p.SweepRequest``, and override the settings of the run that have them.
"""
