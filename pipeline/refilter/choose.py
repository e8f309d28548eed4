"""The candidates of a committed unit, chosen again under another filter from what its part holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

import filters
from conf.schema import Filter
from filters.choice import NEAR_DUPLICATE
from pipeline.refilter.stored_unit import Encoded, Held
from stages.candidates.early_scoring import LEFT_EARLY
from stages.candidates.near_duplicates import EarlierSamples, ImagePair, find_near_candidates
from stages.candidates.scoring import CLIP_SCORES, make_measure_specs, make_thresholds
from stages.formats.images import decode
from stages.records import Candidate

NO_IMAGE = "no_image"


@dataclass(frozen=True)
class Chooser:
    """Chooses again, unit after unit, in the plan's order.

    ``measures`` are those that the run had not, loaded, by their scores' names: they are taken of the images that are
    stored. ``before``, if given, refuses what shows almost the same as a sample kept of an earlier caption pair.
    """

    filter: Filter
    measures: Mapping[str, filters.Measure] = field(default_factory=dict)
    before: EarlierSamples | None = None

    def __call__(self, held: Held) -> tuple[tuple[Candidate, ...], tuple[Candidate, ...]]:
        """The candidates with their new verdicts, and those that are missing.

        Missing is what a run with this filter would have kept, and of which no image is stored. The next best of those
        that are stored stands in for it, as if it had not been tried.
        """
        candidates = self._measured(held)
        reasons, missing = [""] * len(candidates), list[int]()
        for places in _pairs(candidates):
            own = _OnePair(self, held, [candidates[place] for place in places], places)
            found, absent = own.choose()
            for place, reason in zip(places, found, strict=True):
                reasons[place] = reason
            missing += absent
        chosen = tuple(
            replace(candidate, kept=not reason, reason=reason)
            for candidate, reason in zip(candidates, reasons, strict=True)
        )
        return chosen, tuple(chosen[place] for place in missing)

    def _measured(self, held: Held) -> list[Candidate]:
        """The candidates with the measures that are listed now; NaN where one is new and no image is stored."""
        pictures = [_decoded(images) for images in held.images.values()] if self.measures else []
        new = {
            name: dict(
                zip(
                    held.images,
                    measure.score([a for a, _ in pictures], [b for _, b in pictures]),
                    strict=True,
                )
            )
            for name, measure in self.measures.items()
        }
        names = [spec.score for spec in make_measure_specs(self.filter)]
        return [
            replace(
                candidate,
                measures={
                    name: float(new[name].get(place, np.nan)) if name in new else candidate.measures[name]
                    for name in names
                },
            )
            for place, candidate in enumerate(held.candidates)
        ]


class _OnePair:
    """The choice among the candidates of one caption pair, which are at ``places`` of the unit's."""

    def __init__(self, chooser: Chooser, held: Held, own: Sequence[Candidate], places: Sequence[int]) -> None:
        self._chooser, self._own, self._places = chooser, own, places
        self._images = [held.images.get(place) for place in places]
        self._pictures: dict[int, ImagePair] = {}

    def choose(self) -> tuple[list[str], list[int]]:
        """The reason of each, and the places of those missing."""
        refused = self._outside()
        reasons = self._choose(refused)
        # What a run would keep is the first choice's: what is kept after it stands in for something.
        missing = [
            place
            for place, reason, images in zip(self._places, reasons, self._images, strict=True)
            if not reason and images is None
        ]
        while barred := {k: why for k, reason in enumerate(reasons) if not reason and (why := self._bar(k))}:
            refused = [barred.get(k, reason) for k, reason in enumerate(refused)]
            reasons = self._choose(refused)
        before = self._chooser.before
        for k, reason in enumerate(reasons):
            picture = None if reason or before is None else self._picture(k)
            if before is not None and picture is not None:
                before.add(picture)
        return reasons, missing

    def _choose(self, refused: Sequence[str]) -> list[str]:
        chosen = self._chooser.filter
        columns = (np.array([getattr(c, name) for c in self._own], np.float32) for name in CLIP_SCORES)
        bits = chosen.near_duplicate
        reasons = filters.choose(
            [candidate.sample_index for candidate in self._own],
            filters.ClipScores(*columns),
            make_thresholds(chosen),
            refused,
            None if bits is None else find_near_candidates(bits, self._picture),
        )
        return [LEFT_EARLY if why == LEFT_EARLY else own for why, own in zip(refused, reasons, strict=True)]

    def _outside(self) -> list[str]:
        """The first measure out of its bounds; what cannot be measured is not held against a candidate.

        What was left on the way stays so, for it was never finished.
        """
        bounds = {spec.score: spec.bounds for spec in make_measure_specs(self._chooser.filter)}
        reasons = []
        for candidate, images in zip(self._own, self._images, strict=True):
            taken = {
                name: np.array([score], np.float32)
                for name, score in candidate.measures.items()
                if images is not None or name not in self._chooser.measures
            }
            found = filters.outside(taken, {name: bounds[name] for name in taken}, 1)
            reasons += [LEFT_EARLY] if candidate.reason == LEFT_EARLY else found
        return reasons

    def _bar(self, k: int) -> str:
        if self._images[k] is None:
            return NO_IMAGE
        before, picture = self._chooser.before, self._picture(k)
        return NEAR_DUPLICATE if before is not None and picture is not None and picture in before else ""

    def _picture(self, k: int) -> ImagePair | None:
        images = self._images[k]
        if images is not None and k not in self._pictures:
            self._pictures[k] = _decoded(images)
        return self._pictures.get(k)


def _pairs(candidates: Sequence[Candidate]) -> Iterable[list[int]]:
    """The places of each caption pair's candidates, in their order."""
    own: dict[str, list[int]] = defaultdict(list)
    for place, candidate in enumerate(candidates):
        own[candidate.pair_id].append(place)
    return own.values()


def _decoded(images: Encoded) -> ImagePair:
    return decode(images[0]), decode(images[1])
