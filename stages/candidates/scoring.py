"""What judges candidates: CLIP's four scores with their thresholds, and the measures listed beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

import filters
from conf.schema import Filter, Measure
from p2p.plugins import own_module, source_digest
from stages.records import CaptionPair

Score = NDArray[np.float32]
Images = Sequence[NDArray[np.uint8]]
CLIP_SCORES = tuple(field.name for field in fields(filters.ClipScores))


@dataclass(frozen=True)
class Judged:
    """N candidates: CLIP's scores, each measure's by its name, and the first measure out of its bounds or ""."""

    scores: filters.ClipScores
    measured: dict[str, Score]
    outside: tuple[str, ...]

    def part(self, rows: slice) -> Judged:
        """Those of some rows."""
        return Judged(
            filters.ClipScores(*(getattr(self.scores, name)[rows] for name in CLIP_SCORES)),
            {name: score[rows] for name, score in self.measured.items()},
            self.outside[rows],
        )

    def measures(self, row: int) -> dict[str, float]:
        """One candidate's measures."""
        return {name: float(score[row]) for name, score in self.measured.items()}


def joined(parts: Sequence[Judged]) -> Judged:
    """One after the other; there is at least one."""
    return Judged(
        filters.ClipScores(
            *(np.concatenate([getattr(part.scores, name) for part in parts]) for name in CLIP_SCORES)
        ),
        {name: np.concatenate([part.measured[name] for part in parts]) for name in parts[0].measured},
        tuple(reason for part in parts for reason in part.outside),
    )


class Judge:
    """CLIP and the measures, loaded once."""

    def __init__(self, chosen: Filter, device: str) -> None:
        """Raises filters.FilterError for what cannot be loaded."""
        self.clip = filters.load_clip(chosen.name, chosen.pretrained, device)
        self.thresholds = thresholds(chosen)
        wanted = specs(chosen)
        self._measures = {spec.score: filters.load_measure(spec, device) for spec in wanted}
        self._bounds = {spec.score: spec.bounds for spec in wanted}

    def __call__(self, inputs: Images, outputs: Images, pairs: Sequence[CaptionPair]) -> Judged:
        """The judgement on N image pairs, each uint8 (H, W, 3), under the captions of ``pairs``."""
        scores = self.clip.score(
            inputs, outputs, [pair.input for pair in pairs], [pair.output for pair in pairs]
        )
        measured = {name: measure.score(inputs, outputs) for name, measure in self._measures.items()}
        return Judged(scores, measured, tuple(filters.outside(measured, self._bounds, len(pairs))))

    def choose(
        self, samples: Sequence[int], judged: Judged, near: Callable[[int, int], bool] | None = None
    ) -> list[str]:
        """``filters.choose`` among the candidates of one caption pair, by all that is measured."""
        return filters.choose(samples, judged.scores, self.thresholds, judged.outside, near)

    def verdicts(self, judged: Judged) -> list[str]:
        """For each candidate the first score or measure that it fails by, "" for none."""
        clip = filters.verdicts(judged.scores, self.thresholds)
        return [reason or other for reason, other in zip(clip, judged.outside, strict=True)]


def thresholds(chosen: Filter) -> filters.Thresholds:
    """CLIP's part of the choice. Raises filters.FilterError for what cannot be."""
    return filters.Thresholds(
        clip_sim_0=chosen.clip_sim_0,
        clip_sim_1=chosen.clip_sim_1,
        clip_sim_dir=chosen.clip_sim_dir,
        clip_sim_image=chosen.clip_sim_image,
        max_per_pair=chosen.max_per_pair,
    )


def specs(chosen: Filter) -> tuple[filters.MeasureSpec, ...]:
    """The measures listed. Raises filters.FilterError for one that cannot be, and for two of one name."""
    listed = tuple(_spec(place, measure) for place, measure in enumerate(chosen.measures))
    names = [*CLIP_SCORES, *(spec.score for spec in listed)]
    twice = next((name for k, name in enumerate(names) if name in names[:k]), None)
    if twice:
        raise filters.FilterError(f"two scores are called {twice}: give one measure another name")
    return listed


def _spec(place: int, measure: Measure) -> filters.MeasureSpec:
    ends = {"least": measure.least, "most": measure.most}
    try:
        own = None
        if measure.kind not in filters.KINDS:
            own = own_module("measure", measure.kind, ("load",), filters.FilterError, filters.KINDS)
        return filters.MeasureSpec(
            kind=measure.kind,
            name=measure.name,
            model=measure.model,
            revision=measure.revision,
            label=measure.label,
            tolerance=measure.tolerance,
            bounds=filters.Bounds(**{end: value for end, value in ends.items() if value is not None}),
            own=own,
            source=source_digest(own) if own else "",
        )
    except filters.FilterError as error:
        raise filters.FilterError(f"filter.measures.{place}: {error}") from error
