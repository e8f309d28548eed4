"""Chooses among the candidates of a committed unit again, under another filter, from what its part holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

import filters
from conf.schema import Filter
from filters.choice import NEAR_DUPLICATE
from pipeline.refilter.stored_unit import Encoded, StoredUnit
from stages.candidates.early_scoring import LEFT_EARLY
from stages.candidates.near_duplicates import EarlierSamples, ImagePair, find_near_candidates
from stages.candidates.scoring import CLIP_SCORES, make_measure_specs, make_thresholds
from stages.formats.images import decode
from stages.records import Candidate

NO_IMAGE = "no_image"


@dataclass(frozen=True)
class Chooser:
    """Chooses unit after unit, in the plan's order.

    ``measures``, by the names of their scores, are loaded measures that the run did not have. They score stored images.
    ``earlier``, if given, refuses samples that nearly repeat a kept sample of an earlier caption pair.
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
        for indices in _by_pair(candidates):
            choice = _PairChoice(
                self, [candidates[index] for index in indices], map(stored.images.get, indices)
            )
            pair_reasons, pair_missing = choice.choose()
            for index, reason in zip(indices, pair_reasons, strict=True):
                reasons[index] = reason
            missing += [indices[number] for number in pair_missing]
        chosen = tuple(
            replace(candidate, kept=not reason, reason=reason)
            for candidate, reason in zip(candidates, reasons, strict=True)
        )
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


class _PairChoice:
    """The choice among the candidates of one caption pair, with the image of each; None if it is not stored."""

    def __init__(
        self, chooser: Chooser, candidates: Sequence[Candidate], images: Iterable[Encoded | None]
    ) -> None:
        self._filter, self._new_measures, self._earlier = chooser.filter, chooser.measures, chooser.earlier
        self._candidates, self._encoded = candidates, list(images)
        self._decoded: dict[int, ImagePair] = {}

    def choose(self) -> tuple[list[str], list[int]]:
        """Return the reason of each candidate, "" for a kept one, and the indices of the missing ones."""
        refused = self._out_of_bounds()
        reasons = self._choose(refused)
        # The first choice is that of a run. What later choices keep replaces something.
        missing = [k for k, reason in enumerate(reasons) if not reason and self._encoded[k] is None]
        while unusable := {
            k: why for k, reason in enumerate(reasons) if not reason and (why := self._refuse(k))
        }:
            refused = [unusable.get(k, reason) for k, reason in enumerate(refused)]
            reasons = self._choose(refused)
        if self._earlier is not None:
            for k, reason in enumerate(reasons):
                images = None if reason else self._images(k)
                if images is not None:
                    self._earlier.add(images)
        return reasons, missing

    def _choose(self, refused: Sequence[str]) -> list[str]:
        columns = (np.array([getattr(c, name) for c in self._candidates], np.float32) for name in CLIP_SCORES)
        bits = self._filter.near_duplicate
        reasons = filters.choose(
            [candidate.sample_index for candidate in self._candidates],
            filters.ClipScores(*columns),
            make_thresholds(self._filter),
            refused,
            None if bits is None else find_near_candidates(bits, self._images),
        )
        return [
            LEFT_EARLY if why == LEFT_EARLY else reason for why, reason in zip(refused, reasons, strict=True)
        ]

    def _out_of_bounds(self) -> list[str]:
        """Return the first measure of each candidate that is out of its bounds. What cannot be measured passes.

        A candidate that was left early stays so, because it was never finished.
        """
        bounds = {spec.score: spec.bounds for spec in make_measure_specs(self._filter)}
        reasons = []
        for candidate, encoded in zip(self._candidates, self._encoded, strict=True):
            scores = {
                name: np.array([score], np.float32)
                for name, score in candidate.measures.items()
                if encoded is not None or name not in self._new_measures
            }
            outside = filters.outside(scores, {name: bounds[name] for name in scores}, 1)
            reasons += [LEFT_EARLY] if candidate.reason == LEFT_EARLY else outside
        return reasons

    def _refuse(self, k: int) -> str:
        """Return why the candidate cannot be kept after all, "" if it can."""
        images = self._images(k)
        if images is None:
            return NO_IMAGE
        return NEAR_DUPLICATE if self._earlier is not None and images in self._earlier else ""

    def _images(self, k: int) -> ImagePair | None:
        encoded = self._encoded[k]
        if encoded is not None and k not in self._decoded:
            self._decoded[k] = _decode(encoded)
        return self._decoded.get(k)


def _by_pair(candidates: Sequence[Candidate]) -> Iterable[list[int]]:
    """Return the indices of each caption pair's candidates, in their order."""
    indices: dict[str, list[int]] = defaultdict(list)
    for index, candidate in enumerate(candidates):
        indices[candidate.pair_id].append(index)
    return indices.values()


def _decode(encoded: Encoded) -> ImagePair:
    return decode(encoded[0]), decode(encoded[1])
