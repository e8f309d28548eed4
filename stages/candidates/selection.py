"""Selects the candidates of a caption pair that are kept, and makes their samples with keys and metadata."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import filters
import p2p
from conf.schema import Config
from stages.candidates.early_scoring import LEFT_EARLY
from stages.candidates.near_duplicates import ImagePair, find_near_candidates
from stages.candidates.scoring import Scorer, SweptSeed, join_scores
from stages.formats.parquet_tables import score_columns
from stages.formats.tar import as_stored
from stages.records import Candidate, CaptionPair, Rejected, Sample


@dataclass(frozen=True)
class RenderedPair:
    """A caption pair with its seeds and its candidates: seed after seed, τ after τ."""

    pair: CaptionPair
    seeds: tuple[SweptSeed, ...]
    candidates: tuple[Candidate, ...]

    def find_edit(self, candidate: Candidate) -> tuple[p2p.Sweep, int]:
        """The sweep of a candidate and the index of its edit there."""
        seed = self.seeds[candidate.sample_index]
        return seed.sweep, seed.request.taus.index(candidate.tau)


def select(pair: CaptionPair, seeds: Sequence[SweptSeed], scorer: Scorer, config: Config) -> RenderedPair:
    """Gives every candidate of a pair its verdict."""
    scores = join_scores([seed.scores for seed in seeds])
    tried = [(index, seed, tau) for index, seed in enumerate(seeds) for tau in seed.request.taus]
    samples, near = [index for index, _, _ in tried], _find_near(seeds, config)
    reasons = filters.choose(samples, scores.clip, scorer.thresholds, scores.rejections, near)
    candidates = []
    for place, (index, seed, tau) in enumerate(tried):
        reason = LEFT_EARLY if scores.rejections[place] == LEFT_EARLY else reasons[place]
        candidates.append(
            Candidate(
                pair_id=pair.id,
                sample_index=index,
                seed=seed.request.seed,
                tau=float(tau),
                cfg_scale=float(seed.request.guidance_scale),
                **scores.clip_of(place),
                kept=reason == "",
                reason=reason,
                measures=scores.measures_of(place),
            )
        )
    return RenderedPair(pair, tuple(seeds), tuple(candidates))


def _find_near(seeds: Sequence[SweptSeed], config: Config) -> Callable[[int, int], bool] | None:
    bits = config.filter.near_duplicate
    images = [(seed.sweep.source, edit) for seed in seeds for edit in seed.sweep.edits]

    def stored_images(candidate: int) -> ImagePair:
        source, edit = images[candidate]
        return as_stored(source, config.shards), as_stored(edit, config.shards)

    return None if bits is None else find_near_candidates(bits, stored_images)


def make_samples(
    rendered: Sequence[RenderedPair], config: Config, model_fingerprint: str
) -> tuple[Sample, ...]:
    """The kept candidates with their images."""
    samples = []
    for result in rendered:
        for candidate in result.candidates:
            if candidate.kept:
                sweep, edit = result.find_edit(candidate)
                metadata = sample_metadata(result.pair, candidate, config, model_fingerprint)
                key, prompt = sample_key(candidate), result.pair.edit
                samples.append(Sample(key, sweep.source, sweep.edits[edit], prompt, metadata))
    return tuple(samples)


def collect_rejected(rendered: Sequence[RenderedPair]) -> tuple[Rejected, ...]:
    """The images of the candidates that were finished and not kept, sample by sample."""
    rejected = []
    for result in rendered:
        for index, seed in enumerate(result.seeds):
            candidates = [candidate for candidate in result.candidates if candidate.sample_index == index]
            edits = {
                place: seed.sweep.edits[place]
                for place, candidate in enumerate(candidates)
                if not candidate.kept and candidate.reason != LEFT_EARLY
            }
            if edits:
                rejected.append(Rejected(sample_key(candidates[0]), seed.sweep.source, edits))
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
        "meta": pair.meta,
    }


def model_name(config: Config) -> str:
    """The model's name in metadata and reports. A local model has its folder's name, without the path."""
    return Path(config.model.path).name if config.model.name == "path" else config.model.name
