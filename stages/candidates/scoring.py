"""Scores candidates: CLIP's four similarities and the configured measures, with the limits of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

import filters
import p2p
from conf.schema import Early, Filter, InputImage, Measure
from p2p.plugins import load_plugin, source_digest
from stages.candidates.reconstruction import (
    EXACT,
    RECONSTRUCTION_SCORES,
    reconstruction_bounds,
    score_reconstructions,
)
from stages.records import Candidate, CaptionPair

Images = Sequence[NDArray[np.uint8]]
CLIP_SCORES = tuple(field.name for field in fields(filters.ClipScores))
LEFT_EARLY = "left_early"


SeedRequest = tuple[CaptionPair, int, "p2p.SweepRequest"]
"""A caption pair, a sample index, and the request of that sample."""


@dataclass(frozen=True)
class SweptSeed:
    """One seed of a caption pair: its request, its images, and its candidates in the order of τ.

    Until ``selection.select`` gives verdicts no candidate is kept, and its reason is LEFT_EARLY, or the first measure
    out of its bounds, or "".

    The sweep's source is the input image of its samples. ``reconstruction`` is what the model makes of the caption
    pair's image, or None without one.
    """

    request: p2p.SweepRequest
    sweep: p2p.Sweep
    candidates: tuple[Candidate, ...]
    reconstruction: NDArray[np.uint8] | None = None


class Scorer:
    """CLIP and the measures, loaded once, with the thresholds of a kept candidate.

    ``images``: the candidates of the present unit have the scores of reconstructions.
    """

    images = False

    def __init__(self, chosen: Filter, device: str, source: InputImage | None = None) -> None:
        """Raises filters.FilterError if a model cannot be loaded.

        ``source``: the input image of a sample whose caption pair has an image; None is the original.
        """
        self._writes_original = source is not InputImage.reconstruction
        # A worker of a cluster has a cache of its own.
        filters.check_hub(chosen.name, chosen.pretrained)
        self.clip = filters.load_clip(chosen.name, chosen.pretrained, device)
        self.thresholds = make_thresholds(chosen)
        specs = make_measure_specs(chosen)
        self._measures = {spec.score: filters.load_measure(spec, device) for spec in specs}
        self._bounds = {spec.score: spec.bounds for spec in specs}
        self._reconstruction_bounds = reconstruction_bounds(chosen)

    def score(
        self,
        inputs: Images,
        outputs: Images,
        pairs: Sequence[CaptionPair],
        reconstructed: Sequence[Mapping[str, float]] = (),
    ) -> list[dict[str, Any]]:
        """Scores N image pairs, each uint8 (H, W, 3), under the captions of ``pairs`` (N).

        ``reconstructed``: for each the scores of its input's reconstruction, in a unit with images.

        Returns fields of a `Candidate` for each: CLIP's four scores, ``measures``, and as ``reason`` the first measure
        out of its bounds, or "".
        """
        clip = self._clip_scores(inputs, outputs, pairs)
        measures = {name: measure.score(inputs, outputs) for name, measure in self._measures.items()}
        bounds = self._bounds
        if self.images:
            measures |= {
                name: np.array([scores[name] for scores in reconstructed], np.float32)
                for name in RECONSTRUCTION_SCORES
            }
            bounds = bounds | self._reconstruction_bounds
        return [
            {name: float(scores[k]) for name, scores in vars(clip).items()}
            | {"measures": {name: float(scores[k]) for name, scores in measures.items()}, "reason": reason}
            for k, reason in enumerate(filters.find_missed_bounds(measures, bounds, len(pairs)))
        ]

    def with_originals(
        self, sweeps: Sequence[p2p.Sweep]
    ) -> tuple[list[p2p.Sweep], list[NDArray[np.uint8] | None], list[Mapping[str, float]]]:
        """Returns the sweeps with the input images of their samples as sources.

        And for each its reconstruction, None without an image, and the scores of that.
        """
        originals = [sweep.original for sweep in sweeps if sweep.original is not None]
        if not originals:
            return list(sweeps), [None] * len(sweeps), [EXACT] * len(sweeps)
        reconstructions = [None if sweep.original is None else sweep.source for sweep in sweeps]
        scores = iter(
            score_reconstructions(
                originals, [image for image in reconstructions if image is not None], self.clip
            )
        )
        sources = [
            sweep.source if sweep.original is None or not self._writes_original else sweep.original
            for sweep in sweeps
        ]
        return (
            [replace(sweep, source=source) for sweep, source in zip(sweeps, sources, strict=True)],
            reconstructions,
            [EXACT if sweep.original is None else next(scores) for sweep in sweeps],
        )

    def score_sweeps(self, requests: Sequence[SeedRequest], sweeps: Sequence[p2p.Sweep]) -> list[SweptSeed]:
        """Scores every edit of the sweeps. A stopped edit is LEFT_EARLY, however its prediction scores."""
        sweeps, reconstructions, reconstructed = self.with_originals(sweeps)
        scores = iter(
            self.score(
                [sweep.source for sweep in sweeps for _ in sweep.edits],
                [edit for sweep in sweeps for edit in sweep.edits],
                [pair for (pair, *_), sweep in zip(requests, sweeps, strict=True) for _ in sweep.edits],
                [
                    of_source
                    for of_source, sweep in zip(reconstructed, sweeps, strict=True)
                    for _ in sweep.edits
                ],
            )
        )
        seeds = []
        for (pair, sample, request), sweep, reconstruction in zip(
            requests, sweeps, reconstructions, strict=True
        ):
            candidates = [
                Candidate(
                    pair.id,
                    sample,
                    request.seed,
                    float(tau),
                    float(request.guidance_scale),
                    kept=False,
                    **fields,
                )
                for tau, fields in zip(request.taus, islice(scores, len(sweep.edits)), strict=True)
            ]
            for place in sweep.stopped:
                candidates[place] = replace(candidates[place], reason=LEFT_EARLY)
            seeds.append(SweptSeed(request, sweep, tuple(candidates), reconstruction))
        return seeds

    def verdicts(self, candidates: Sequence[Candidate]) -> list[str]:
        """For each candidate the first score that misses its threshold, or else its reason so far."""
        clip = filters.find_missed_thresholds(stack_clip_scores(candidates), self.thresholds)
        return [reason or candidate.reason for reason, candidate in zip(clip, candidates, strict=True)]

    def early_stop(self, early: Early, pairs: Sequence[CaptionPair]) -> p2p.EarlyStop | None:
        """Stops edits whose predicted images miss a threshold by more than its margin; None if ``early.at`` is null.

        ``pairs`` has the caption pair of each sweep. A prediction is scored only with those of its own sweep, so the
        decision does not depend on the rest of the batch.
        """
        if early.at is None:
            return None

        def go_on(predicted: p2p.PredictedImages) -> list[bool]:
            least = {name: getattr(self.thresholds, name) - getattr(early, name) for name in CLIP_SCORES}
            edits = list(predicted.edits)
            count = len(edits)
            scores = self._clip_scores([predicted.source] * count, edits, [pairs[predicted.request]] * count)
            return [
                not missed
                for missed in filters.find_missed_thresholds(scores, replace(self.thresholds, **least))
            ]

        return p2p.EarlyStop(early.at, go_on)

    def _clip_scores(
        self, inputs: Images, outputs: Images, pairs: Sequence[CaptionPair]
    ) -> filters.ClipScores:
        return self.clip.score(
            inputs, outputs, [pair.input for pair in pairs], [pair.output for pair in pairs]
        )


def stack_clip_scores(candidates: Sequence[Candidate]) -> filters.ClipScores:
    """CLIP's scores of N candidates as arrays, each float32 (N,)."""
    return filters.ClipScores(
        *(np.array([getattr(c, name) for c in candidates], np.float32) for name in CLIP_SCORES)
    )


def make_thresholds(chosen: Filter) -> filters.Thresholds:
    """The thresholds of CLIP's scores. Raises filters.FilterError for invalid ones."""
    return filters.Thresholds(
        **{name: getattr(chosen, name) for name in CLIP_SCORES}, max_per_pair=chosen.max_per_pair
    )


def make_measure_specs(chosen: Filter) -> tuple[filters.MeasureSpec, ...]:
    """The configured measures. Raises filters.FilterError for an invalid measure and for a name used twice."""
    specs = tuple(_make_spec(place, measure) for place, measure in enumerate(chosen.measures))
    names = [*CLIP_SCORES, *RECONSTRUCTION_SCORES, *(spec.score for spec in specs)]
    duplicate = next((name for k, name in enumerate(names) if name in names[:k]), None)
    if duplicate:
        raise filters.FilterError(f"two scores are called {duplicate}: give one measure another name")
    return specs


def _make_spec(place: int, measure: Measure) -> filters.MeasureSpec:
    ends = {"least": measure.least, "most": measure.most}
    try:
        module = None
        if measure.kind not in filters.MEASURE_KINDS:
            module = load_plugin(
                "measure", measure.kind, ("load",), filters.FilterError, filters.MEASURE_KINDS
            )
        return filters.MeasureSpec(
            kind=measure.kind,
            name=measure.name,
            model=measure.model,
            revision=measure.revision,
            label=measure.label,
            tolerance=measure.tolerance,
            bounds=filters.Bounds(**{end: value for end, value in ends.items() if value is not None}),
            own=module,
            source=source_digest(module) if module else "",
        )
    except filters.FilterError as error:
        raise filters.FilterError(f"filter.measures.{place}: {error}") from error
