"""Train, validation and test splits by a hash of the input caption, so that a dataset may grow."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

SPLITS = ("train", "validation", "test")


def find_problem(fractions: Sequence[float]) -> str:
    """What is wrong with the fractions of train, validation and test; "" if they are valid."""
    if not 1 <= len(fractions) <= len(SPLITS):
        return f"has {len(fractions)} parts: give the fractions of train, validation and test, or the first of them"
    if not all(0 <= fraction <= 1 for fraction in fractions):
        return "must lie from 0 to 1"
    if not math.isclose(sum(fractions), 1, abs_tol=1e-6):
        return f"adds up to {sum(fractions):g}, not 1"
    return ""


def choose_split(input_prompt: str, fractions: Sequence[float]) -> str:
    """The split of every sample with this input caption: a function of the caption alone.

    All samples of one input caption show one scene, so a model tested on some of them must not train on the others.
    Letter case and spacing do not matter. The split of a caption stays the same when captions are added; with other
    ``fractions`` it changes only if a boundary passes it. `find_problem` tells which fractions are valid.
    """
    canonical = " ".join(input_prompt.casefold().split())
    position = int.from_bytes(hashlib.sha256(canonical.encode()).digest()[:8]) / 2**64
    edge = 0.0
    for name, fraction in zip(SPLITS, fractions, strict=False):
        edge += fraction
        if position < edge:
            return name
    # Rounding may leave the sum below 1: take the last split that is not empty.
    return SPLITS[max(index for index, fraction in enumerate(fractions) if fraction)]
