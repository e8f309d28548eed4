"""Edits that are left on the way, by CLIP's scores of the images that are predicted there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

import filters
import p2p
from conf.schema import Early
from stages.candidates.scoring import CLIP_SCORES, Judge, Judged
from stages.records import CaptionPair

LEFT_EARLY = "left_early"


def look(early: Early, judge: Judge, pairs: Sequence[CaptionPair]) -> p2p.Look | None:
    """What to do on the way of sweeps, of which each one's caption pair is given; None where nothing is looked at.

    A prediction is scored with its own source's and siblings', so that what is left of a sweep does not depend on the
    company that it is in.
    """
    if early.at is None:
        return None

    def goes_on(predicted: p2p.Predicted) -> list[bool]:
        scores = score(judge, predicted, pairs[predicted.request])
        misses = [
            getattr(scores, name) < np.float32(getattr(judge.thresholds, name) - getattr(early, name))
            for name in CLIP_SCORES
        ]
        return [not left for left in np.any(misses, axis=0)]

    return p2p.Look(early.at, goes_on)


def score(judge: Judge, predicted: p2p.Predicted, pair: CaptionPair) -> filters.ClipScores:
    """CLIP's scores of the edits predicted, beside the source predicted."""
    count = len(predicted.edits)
    return judge.clip.score(
        [predicted.source] * count, list(predicted.edits), [pair.input] * count, [pair.output] * count
    )


def marked(judged: Judged, sweeps: Sequence[p2p.Sweep]) -> Judged:
    """The judgement on the sweeps' edits, with those that were left refused whatever their predictions score."""
    stopped = [place in sweep.stopped for sweep in sweeps for place in range(len(sweep.edits))]
    outside = (LEFT_EARLY if left else reason for left, reason in zip(stopped, judged.outside, strict=True))
    return replace(judged, outside=tuple(outside))
