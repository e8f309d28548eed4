"""Scores candidates: CLIP's four similarities and the configured measures, with the limits of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

import filters
import p2p
from conf.schema import Filter, Measure
from p2p.plugins import load_plugin, source_digest
from stages.records import CaptionPair

Images = Sequence[NDArray[np.uint8]]
CLIP_SCORES = tuple(field.name for field in fields(filters.ClipScores))


@dataclass(frozen=True)
class CandidateScores:
    """Scores of N candidates.

    Attributes:
        by_name: CLIP's four scores and the measures, each float32 (N,).
        rejections: (N,) the first measure out of its bounds, or "left_early", or "".
    """

    by_name: dict[str, NDArray[np.float32]]
    rejections: tuple[str, ...]

    @property
    def clip(self) -> filters.ClipScores:
        """CLIP's four scores."""
        return filters.ClipScores(*(self.by_name[name] for name in CLIP_SCORES))

    def part(self, candidates: slice) -> CandidateScores:
        """The scores of some of the candidates."""
        by_name = {name: scores[candidates] for name, scores in self.by_name.items()}
        return CandidateScores(by_name, self.rejections[candidates])

    def clip_of(self, index: int) -> dict[str, Any]:
        """CLIP's four scores of one candidate, floats by name."""
        return {name: float(self.by_name[name][index]) for name in CLIP_SCORES}

    def measures_of(self, index: int) -> dict[str, float]:
        """The measures of one candidate by name."""
        return {name: float(self.by_name[name][index]) for name in self.by_name if name not in CLIP_SCORES}


def join_scores(parts: Sequence[CandidateScores]) -> CandidateScores:
    """Concatenates one or more parts."""
    by_name = {name: np.concatenate([part.by_name[name] for part in parts]) for name in parts[0].by_name}
    return CandidateScores(by_name, tuple(reason for part in parts for reason in part.rejections))


@dataclass(frozen=True)
class SweptSeed:
    """One seed of a caption pair: its request, the images, and the scores of the edits in the order of τ."""

    request: p2p.SweepRequest
    sweep: p2p.Sweep
    scores: CandidateScores


class Scorer:
    """CLIP and the measures, loaded once."""

    def __init__(self, chosen: Filter, device: str) -> None:
        """Raises filters.FilterError if a model cannot be loaded."""
        self.clip = filters.load_clip(chosen.name, chosen.pretrained, device)
        self.thresholds = make_thresholds(chosen)
        specs = make_measure_specs(chosen)
        self._measures = {spec.score: filters.load_measure(spec, device) for spec in specs}
        self._bounds = {spec.score: spec.bounds for spec in specs}

    def score(self, inputs: Images, outputs: Images, pairs: Sequence[CaptionPair]) -> CandidateScores:
        """Scores N image pairs, each uint8 (H, W, 3), under the captions of ``pairs`` (N)."""
        clip = self.clip.score(
            inputs, outputs, [pair.input for pair in pairs], [pair.output for pair in pairs]
        )
        measures = {name: measure.score(inputs, outputs) for name, measure in self._measures.items()}
        rejections = filters.outside(measures, self._bounds, len(pairs))
        return CandidateScores({**vars(clip), **measures}, tuple(rejections))

    def verdicts(self, scores: CandidateScores) -> list[str]:
        """For each candidate the first score or measure that it fails, or ""."""
        clip = filters.verdicts(scores.clip, self.thresholds)
        return [reason or other for reason, other in zip(clip, scores.rejections, strict=True)]


def make_thresholds(chosen: Filter) -> filters.Thresholds:
    """The thresholds of CLIP's scores. Raises filters.FilterError for invalid ones."""
    return filters.Thresholds(
        **{name: getattr(chosen, name) for name in CLIP_SCORES}, max_per_pair=chosen.max_per_pair
    )


def make_measure_specs(chosen: Filter) -> tuple[filters.MeasureSpec, ...]:
    """The configured measures. Raises filters.FilterError for an invalid measure and for a name used twice."""
    specs = tuple(_make_spec(place, measure) for place, measure in enumerate(chosen.measures))
    names = [*CLIP_SCORES, *(spec.score for spec in specs)]
    duplicate = next((name for k, name in enumerate(names) if name in names[:k]), None)
    if duplicate:
        raise filters.FilterError(f"two scores are called {duplicate}: give one measure another name")
    return specs


def _make_spec(place: int, measure: Measure) -> filters.MeasureSpec:
    ends = {"least": measure.least, "most": measure.most}
    try:
        module = None
        if measure.kind not in filters.KINDS:
            module = load_plugin("measure", measure.kind, ("load",), filters.FilterError, filters.KINDS)
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
