"""Chooses again among the candidates of a committed unit, under another filter, from its stored part."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np

import filters
from conf.schema import Filter
from filters.choice import NEAR_DUPLICATE
from pipeline.refilter.stored_unit import Encoded, StoredUnit, group_indices
from stages.candidates.near_duplicates import EarlierSamples, ImagePair, find_near_candidates
from stages.candidates.reconstruction import RECONSTRUCTION_SCORES, reconstruction_bounds
from stages.candidates.scoring import LEFT_EARLY, make_measure_specs, make_thresholds
from stages.candidates.selection import choose, judge
from stages.formats.tar import decode_image
from stages.records import Candidate

NO_IMAGE = "no_image"


@dataclass(frozen=True)
class Chooser:
    """Chooses unit after unit, in the plan's order.

    ``measures`` holds the measures that the run did not have, by the names of their scores. They score stored images.
    ``earlier`` refuses samples that nearly repeat a kept sample of an earlier caption pair.
    """

    filter: Filter
    measures: Mapping[str, filters.Measure] = field(default_factory=dict)
    earlier: EarlierSamples | None = None

    def choose(self, stored: StoredUnit) -> tuple[tuple[Candidate, ...], tuple[Candidate, ...]]:
        """Return the candidates with their new verdicts, and the missing ones among them.

        A candidate is missing if a run with this filter would have kept it, but its image is not stored. The next best
        stored candidate replaces it, as if the missing one had not been tried.
        """
        candidates = self._measure(stored)
        reasons, missing = [""] * len(candidates), list[int]()
        for indices in group_indices(candidate.pair_id for candidate in candidates).values():
            pair_reasons, pair_missing = self._choose_of_pair(
                [candidates[index] for index in indices], [stored.images.get(index) for index in indices]
            )
            for index, reason in zip(indices, pair_reasons, strict=True):
                reasons[index] = reason
            missing += [indices[number] for number in pair_missing]
        chosen = judge(candidates, reasons)
        return chosen, tuple(chosen[index] for index in missing)

    def _measure(self, stored: StoredUnit) -> list[Candidate]:
        """Return the candidates with the filter's measures; NaN for a new measure of an image that is not stored."""
        images = [_decode(encoded) for encoded in stored.images.values()] if self.measures else []
        inputs, edits = [pair[0] for pair in images], [pair[1] for pair in images]
        new = {
            name: dict(zip(stored.images, measure.score(inputs, edits), strict=True))
            for name, measure in self.measures.items()
        }
        names = [spec.score for spec in make_measure_specs(self.filter)]
        names += RECONSTRUCTION_SCORES if stored.unit.images else ()
        return [
            replace(
                candidate,
                measures={
                    name: float(new[name].get(index, np.nan)) if name in new else candidate.measures[name]
                    for name in names
                },
            )
            for index, candidate in enumerate(stored.candidates)
        ]

    def _choose_of_pair(
        self, candidates: Sequence[Candidate], encoded: Sequence[Encoded | None]
    ) -> tuple[list[str], list[int]]:
        """Choose among the candidates of one caption pair; ``encoded`` is None for an image that is not stored.

        Returns the reason of each candidate, "" for a kept one, and the indices of the missing ones.
        """

        @cache
        def images(index: int) -> ImagePair | None:
            pair = encoded[index]
            return None if pair is None else _decode(pair)

        def refuse(index: int) -> str:
            pair = images(index)
            if pair is None:
                return NO_IMAGE
            return NEAR_DUPLICATE if self.earlier is not None and pair in self.earlier else ""

        refused = self._out_of_bounds(candidates, encoded)
        reasons = self._apply_rules(candidates, refused, images)
        # The first choice is that of a run. Later choices replace candidates that cannot be kept.
        missing = [index for index, reason in enumerate(reasons) if not reason and encoded[index] is None]
        while unusable := {
            index: why for index, reason in enumerate(reasons) if not reason and (why := refuse(index))
        }:
            refused = [unusable.get(index, reason) for index, reason in enumerate(refused)]
            reasons = self._apply_rules(candidates, refused, images)
        for index, reason in enumerate(reasons):
            kept = images(index) if self.earlier is not None and not reason else None
            if self.earlier is not None and kept is not None:
                self.earlier.add(kept)
        return reasons, missing

    def _apply_rules(
        self,
        candidates: Sequence[Candidate],
        refused: Sequence[str],
        images: Callable[[int], ImagePair | None],
    ) -> list[str]:
        near = find_near_candidates(self.filter.near_duplicate, images)
        return choose(candidates, refused, make_thresholds(self.filter), near)

    def _out_of_bounds(self, candidates: Sequence[Candidate], encoded: Sequence[Encoded | None]) -> list[str]:
        """Return the first measure of each candidate that is out of its bounds. What cannot be measured passes.

        A candidate that was stopped early stays so, because it was never finished.
        """
        bounds = {spec.score: spec.bounds for spec in make_measure_specs(self.filter)}
        bounds |= reconstruction_bounds(self.filter)
        reasons = []
        for candidate, pair in zip(candidates, encoded, strict=True):
            scores = {
                name: np.array([score], np.float32)
                for name, score in candidate.measures.items()
                if pair is not None or name not in self.measures
            }
            outside = filters.find_missed_bounds(scores, {name: bounds[name] for name in scores}, 1)
            reasons += [LEFT_EARLY] if candidate.reason == LEFT_EARLY else outside
        return reasons


def _decode(encoded: Encoded) -> ImagePair:
    return decode_image(encoded[0]), decode_image(encoded[1])
