"""Selects the candidates of a caption pair that are kept, and makes their samples with keys and metadata."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import filters
from conf.schema import Config, InputImage
from stages.candidates.near_duplicates import ImagePair, find_near_candidates
from stages.candidates.reconstruction import RECONSTRUCTION_SCORES
from stages.candidates.requests import inversion_name
from stages.candidates.scoring import LEFT_EARLY, Scorer, SweptSeed, stack_clip_scores
from stages.formats.parquet_tables import score_columns
from stages.formats.tar import as_stored
from stages.records import Candidate, CaptionPair, Rejected, Sample


@dataclass(frozen=True)
class RenderedPair:
    """A caption pair with its seeds, whose candidates have their verdicts."""

    pair: CaptionPair
    seeds: tuple[SweptSeed, ...]

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The candidates: seed after seed, τ after τ."""
        return tuple(candidate for seed in self.seeds for candidate in seed.candidates)


def select(pair: CaptionPair, seeds: Sequence[SweptSeed], scorer: Scorer, config: Config) -> RenderedPair:
    """Gives every candidate of a pair its verdict."""
    candidates = [candidate for seed in seeds for candidate in seed.candidates]
    images = [(seed.sweep.source, edit) for seed in seeds for edit in seed.sweep.edits]

    def stored_images(candidate: int) -> ImagePair:
        source, edit = images[candidate]
        return as_stored(source, config.shards), as_stored(edit, config.shards)

    near = find_near_candidates(config.filter.near_duplicate, stored_images)
    reasons = choose(candidates, [candidate.reason for candidate in candidates], scorer.thresholds, near)
    judged = iter(judge(candidates, reasons))
    return RenderedPair(
        pair,
        tuple(replace(seed, candidates=tuple(islice(judged, len(seed.candidates)))) for seed in seeds),
    )


def choose(
    candidates: Sequence[Candidate],
    refused: Sequence[str],
    thresholds: filters.Thresholds,
    near: Callable[[int, int], bool] | None,
) -> list[str]:
    """Chooses among the candidates of one caption pair, as ``filters.choose``; one that was stopped early stays so.

    ``refused`` has for each candidate LEFT_EARLY, or the first measure out of its bounds, or "".
    """
    samples = [candidate.sample_index for candidate in candidates]
    reasons = filters.choose(samples, stack_clip_scores(candidates), thresholds, refused, near)
    return [LEFT_EARLY if why == LEFT_EARLY else reason for why, reason in zip(refused, reasons, strict=True)]


def judge(candidates: Sequence[Candidate], reasons: Sequence[str]) -> tuple[Candidate, ...]:
    """The candidates with their verdicts: "" for a kept one, the reason for each other."""
    judged = zip(candidates, reasons, strict=True)
    return tuple(replace(candidate, kept=not reason, reason=reason) for candidate, reason in judged)


def make_samples(
    rendered: Sequence[RenderedPair], config: Config, model_fingerprint: str
) -> tuple[Sample, ...]:
    """The kept candidates with their images."""
    return tuple(
        Sample(
            sample_key(candidate),
            seed.sweep.source,
            edit,
            result.pair.edit,
            sample_metadata(result.pair, candidate, config, model_fingerprint),
        )
        for result in rendered
        for seed in result.seeds
        for candidate, edit in zip(seed.candidates, seed.sweep.edits, strict=True)
        if candidate.kept
    )


def collect_rejected(rendered: Sequence[RenderedPair]) -> tuple[Rejected, ...]:
    """The images of the candidates that were finished and not kept, sample by sample."""
    rejected = []
    for seed in (seed for result in rendered for seed in result.seeds):
        edits = {
            place: seed.sweep.edits[place]
            for place, candidate in enumerate(seed.candidates)
            if not candidate.kept and candidate.reason != LEFT_EARLY
        }
        if edits:
            rejected.append(Rejected(sample_key(seed.candidates[0]), seed.sweep.source, edits))
    return tuple(rejected)


def sample_key(candidate: Candidate) -> str:
    """The key of a sample, without a dot. At most one τ of a sample is kept, so pair and sample index name it."""
    return f"{candidate.pair_id}-{candidate.sample_index:03d}"


def sample_metadata(
    pair: CaptionPair, candidate: Candidate, config: Config, model_fingerprint: str
) -> dict[str, str | int | float | bool]:
    """Everything needed to make the sample again. Each field has one type in every sample, and none is null."""
    return {
        **score_columns(pair, candidate),
        **candidate.measures,
        "steps": config.sampler.steps,
        "sampler": config.sampler.name,
        # Text, empty for no interval: the schema has no null, and JSON has no infinity.
        "guidance_interval": " to ".join(map(str, config.sampler.guidance_interval or ())),
        "edit_method": config.edit.method.value,
        "edit_kind": config.edit.kind.value,
        "cross_gain": float(config.edit.cross_gain),
        "self_gain": float(config.edit.self_gain),
        "inject_unconditional": config.edit.inject_unconditional,
        "rounding": config.edit.rounding.value,
        "too_long": config.edit.too_long.value,
        "pooled": config.edit.pooled.value,
        "model": model_name(config),
        "model_revision": config.model.revision or "",
        "model_fingerprint": model_fingerprint,
        "dtype": config.model.dtype.value,
        **_optional_fields(pair, config),
        **(_image_fields(pair, config) if candidate.measures.keys() >= set(RECONSTRUCTION_SCORES) else {}),
        "meta": pair.meta,
    }


def _optional_fields(pair: CaptionPair, config: Config) -> dict[str, str | int | float]:
    """The optional settings that the run has, with the pair's own values. Its other options are in its ``meta``."""
    settings = config.optional()
    own = json.loads(pair.options) if pair.options else {}
    return {name: own.get(name, value) for name, value in settings.items()}


def _image_fields(pair: CaptionPair, config: Config) -> dict[str, str]:
    """The fields of the samples of a run with images. A pair without one has a generated input image."""
    if not pair.image:
        return {"image_sha256": "", "inversion": "", "source": "generated"}
    return {
        "image_sha256": pair.image_sha256,
        "inversion": inversion_name(config),
        "source": (config.edit.source or InputImage.original).value,
    }


def model_name(config: Config) -> str:
    """The model's name in metadata and reports. A local model has its folder's name, without the path."""
    return Path(config.model.path).name if config.model.name == "path" else config.model.name
