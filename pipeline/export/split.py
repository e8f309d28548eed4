"""Train, validation and test: each caption on one side, today and when the dataset has grown."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

NAMES = ("train", "validation", "test")


def problem(fractions: Sequence[float]) -> str:
    """What is wrong with the fractions of train, validation and test; "" if nothing is."""
    if not 1 <= len(fractions) <= len(NAMES):
        return f"has {len(fractions)} parts: give the fractions of train, validation and test, or the first of them"
    if not all(0 <= fraction <= 1 for fraction in fractions):
        return "must lie from 0 to 1"
    if not math.isclose(sum(fractions), 1, abs_tol=1e-6):
        return f"adds up to {sum(fractions):g}, not 1"
    return ""


def split_of(input_prompt: str, fractions: Sequence[float]) -> str:
    """The split of every sample whose input caption this is: a function of the caption alone.

    It goes by the input caption and not by the pair, let alone the sample: seeds and τ of one pair show one edit, and
    pairs with one input caption show one scene, so that a model tested on it would have seen it in training. Letter
    case and spacing do not tell two captions apart. A caption's split never changes when others are added; with other
    ``fractions`` it moves only if a boundary has moved past it. ``fractions``: as `problem` accepts them.
    """
    canonical = " ".join(input_prompt.casefold().split())
    place = int.from_bytes(hashlib.sha256(canonical.encode()).digest()[:8]) / 2**64
    edge = 0.0
    for name, fraction in zip(NAMES, fractions, strict=False):
        edge += fraction
        if place < edge:
            return name
    # The sum of the fractions may be a rounding below 1: the last that is not empty.
    return max((number, name) for number, name in enumerate(NAMES[: len(fractions)]) if fractions[number])[1]
