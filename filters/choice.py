"""Chooses the candidates of a caption pair that are kept, and gives the reason for each rejection."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from filters.clip.clip_similarity import ClipScores
from filters.errors import FilterError

OTHER_TAU_OF_SEED = "other_tau_of_seed"
MAX_PER_PAIR = "max_per_pair"
NEAR_DUPLICATE = "near_duplicate"

_SCORES = tuple(field.name for field in fields(ClipScores))


@dataclass(frozen=True)
class Thresholds:
    """The least value of each score of a kept candidate, and the most candidates kept of a caption pair.

    The defaults are those of InstructPix2Pix for CLIP ViT-L/14. Other models have other ranges.

    Raises:
        FilterError: a threshold that is not a number, or a `max_per_pair` below 1.
    """

    clip_sim_0: float = 0.2
    clip_sim_1: float = 0.2
    clip_sim_dir: float = 0.2
    clip_sim_image: float = 0.75
    max_per_pair: int = 4

    def __post_init__(self) -> None:
        for name in _SCORES:
            if np.isnan(getattr(self, name)):
                raise FilterError(
                    f"{name} is not a number: give a threshold in [-1, 1], -1 to pass everything"
                )
        if self.max_per_pair < 1:
            raise FilterError(f"max_per_pair is {self.max_per_pair}: give 1 or more")


@dataclass(frozen=True)
class Bounds:
    """The least and the most value of a measure of a kept candidate, both included.

    Raises:
        FilterError: an end that is not a number, or ends that nothing lies between.
    """

    least: float = -math.inf
    most: float = math.inf

    def __post_init__(self) -> None:
        if not self.least <= self.most:
            raise FilterError(f"nothing lies between {self.least} and {self.most}: give least below most")


def find_missed_thresholds(scores: ClipScores, thresholds: Thresholds) -> list[str]:
    """Finds for each candidate the first score that misses its threshold: its name, or "" if all reach theirs."""
    reasons = [""] * len(scores.clip_sim_0)
    for name in _SCORES:
        # Compared in float32: a score read back from a file of either width gets the same verdict. NaN misses.
        reached = getattr(scores, name).astype(np.float32) >= np.float32(getattr(thresholds, name))
        reasons = [reason or ("" if ok else name) for reason, ok in zip(reasons, reached, strict=True)]
    return reasons


def find_missed_bounds(
    scores: Mapping[str, NDArray[np.float32]], bounds: Mapping[str, Bounds], count: int
) -> list[str]:
    """Finds for each of `count` candidates the first measure that is out of its bounds: its name, or "" if none is.

    Compared in float32, as scores are stored. NaN is out of all bounds.
    """
    reasons = [""] * count
    for name, bound in bounds.items():
        low, high = np.float32(bound.least), np.float32(bound.most)
        within = (scores[name] >= low) & (scores[name] <= high)
        reasons = [reason or ("" if ok else name) for reason, ok in zip(reasons, within, strict=True)]
    return reasons


def choose(
    sample_indices: Sequence[int],
    scores: ClipScores,
    thresholds: Thresholds,
    measured: Sequence[str] = (),
    near: Callable[[int, int], bool] | None = None,
) -> list[str]:
    """Chooses among the candidates of one caption pair: "" for each kept one, the reason for each other.

    Candidates that reach all thresholds are kept by falling `clip_sim_dir` (equal ones in the order given): at most one
    τ of each sample, at most `max_per_pair` in all, and none that is `near` a better one.

    Args:
        sample_indices: (N,) the sample (seed and guidance) of each candidate. Within a sample only τ differs.
        scores: the scores of the N candidates.
        measured: (N,) the first measure out of its bounds, or "", as `find_missed_bounds` returns; () without
            measures.
        near: tells whether two candidates, by their indices, show almost the same; None compares nothing.

    Returns:
        (N,) "", or the first score below its threshold, or a measure out of its bounds, or "other_tau_of_seed" if a
        better τ of the sample is kept, or "max_per_pair", or "near_duplicate".

    Raises:
        FilterError: numbers of sample indices, measured reasons and scores that differ.
    """
    if len(sample_indices) != len(scores.clip_sim_dir):
        raise FilterError(
            f"{len(sample_indices)} sample indices for {len(scores.clip_sim_dir)} scores: give one for each"
        )
    reasons = find_missed_thresholds(scores, thresholds)
    if measured:
        if len(measured) != len(reasons):
            raise FilterError(
                f"{len(measured)} measured reasons for {len(reasons)} scores: give one for each"
            )
        reasons = [reason or other for reason, other in zip(reasons, measured, strict=True)]
    passing = [index for index, reason in enumerate(reasons) if not reason]
    kept: dict[int, int] = {}
    for index in sorted(passing, key=lambda index: -scores.clip_sim_dir[index]):
        sample = sample_indices[index]
        if sample in kept:
            reasons[index] = OTHER_TAU_OF_SEED
        elif len(kept) == thresholds.max_per_pair:
            reasons[index] = MAX_PER_PAIR
        elif near and any(near(index, better) for better in kept.values()):
            reasons[index] = NEAR_DUPLICATE
        else:
            kept[sample] = index
    return reasons
