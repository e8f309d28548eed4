"""Early stopping of edits by CLIP's scores of the images that the denoiser predicts part of the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

import p2p
from conf.schema import Early
from stages.candidates.scoring import CLIP_SCORES, CandidateScores, Scorer
from stages.records import CaptionPair

LEFT_EARLY = "left_early"


def make_early_stop(early: Early, scorer: Scorer, pairs: Sequence[CaptionPair]) -> p2p.EarlyStop | None:
    """The early stop of sweeps; None if ``early.at`` is null. ``pairs`` has the caption pair of each sweep.

    A prediction is scored only with those of its own sweep, so the decision does not depend on the rest of the batch.
    """
    if early.at is None:
        return None

    def go_on(predicted: p2p.PredictedImages) -> list[bool]:
        pair, count = pairs[predicted.request], len(predicted.edits)
        scores = scorer.clip.score(
            [predicted.source] * count, list(predicted.edits), [pair.input] * count, [pair.output] * count
        )
        misses = [
            getattr(scores, name) < np.float32(getattr(scorer.thresholds, name) - getattr(early, name))
            for name in CLIP_SCORES
        ]
        return [not missed for missed in np.any(misses, axis=0)]

    return p2p.EarlyStop(early.at, go_on)


def mark_early(scores: CandidateScores, sweeps: Sequence[p2p.Sweep]) -> CandidateScores:
    """The scores with every stopped edit rejected as LEFT_EARLY, however its prediction scores."""
    stopped = [place in sweep.stopped for sweep in sweeps for place in range(len(sweep.edits))]
    rejections = (
        LEFT_EARLY if early else reason for early, reason in zip(stopped, scores.rejections, strict=True)
    )
    return replace(scores, rejections=tuple(rejections))
