"""A unit's part and record after another choice: the images as they are stored, under new verdicts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

from conf.schema import Config, Keep
from pipeline.refilter.stored_unit import Held
from stages.candidates.selection import sample_key, sample_metadata
from stages.formats import previews, score_table, tar
from stages.formats.images import EXTENSIONS
from stages.records import Candidate, Preview


def files(
    held: Held, candidates: Sequence[Candidate], config: Config, model_fingerprint: str
) -> dict[str, bytes]:
    """The unit's files by kind, as ``stages.write.encode_part`` would make them of a run that chose like this."""
    extension = EXTENSIONS[config.shards.format]
    made = {}
    samples = list(_samples(held, candidates, config, model_fingerprint))
    if samples:
        made["samples"] = tar.write_samples(samples)
    rejected = list(_rejected(held, candidates, extension)) if config.keep is Keep["all-images"] else []
    if rejected:
        made["rejected"] = tar.write_samples(rejected)
    if candidates:
        made["scores"] = score_table.to_bytes(score_table.table(held.unit.pairs, candidates))
    if held.previews:
        made["previews"] = previews.to_bytes([_shown(one, candidates) for one in held.previews])
    return made


def record(held: Held, candidates: Sequence[Candidate], missing: Sequence[Candidate]) -> dict[str, Any]:
    """The unit's record with other counts, and ``missing``. Rows and seconds are those of the run that rendered it."""
    old = {name: value for name, value in held.commit.items() if name != "part"}
    return old | {
        "pairs_kept": len({candidate.pair_id for candidate in candidates if candidate.kept}),
        "samples": sum(candidate.kept for candidate in candidates),
        "rejected": dict(sorted(Counter(c.reason for c in candidates if not c.kept).items())),
        "missing": [{"key": sample_key(candidate), **_told(candidate)} for candidate in missing],
    }


def _samples(
    held: Held, candidates: Sequence[Candidate], config: Config, model_fingerprint: str
) -> Iterator[tuple[str, tar.Files]]:
    pairs, extension = {pair.id: pair for pair in held.unit.pairs}, EXTENSIONS[config.shards.format]
    for place, candidate in enumerate(candidates):
        if candidate.kept:
            pair = pairs[candidate.pair_id]
            about = sample_metadata(pair, candidate, config, model_fingerprint)
            yield sample_key(candidate), tar.sample_files(*held.images[place], pair.edit, about, extension)


def _rejected(held: Held, candidates: Sequence[Candidate], extension: str) -> Iterator[tuple[str, tar.Files]]:
    samples: dict[str, list[int]] = defaultdict(list)
    for place, candidate in enumerate(candidates):
        samples[sample_key(candidate)].append(place)
    for key, places in samples.items():
        left = {
            number: held.images[place]
            for number, place in enumerate(places)
            if place in held.images and not candidates[place].kept
        }
        if left:
            yield key, tar.rejected_files(left, extension)


def _told(candidate: Candidate) -> dict[str, Any]:
    told = {
        name: value for name, value in asdict(candidate).items() if name not in ("kept", "reason", "measures")
    }
    return {"p2p_threshold": told.pop("tau"), **told}


def _shown(preview: Preview, candidates: Sequence[Candidate]) -> Preview:
    """The same pictures under the new verdicts."""
    now = {(c.pair_id, c.sample_index, c.tau): c for c in candidates}
    return replace(
        preview, candidates=tuple(now[c.pair_id, c.sample_index, c.tau] for c in preview.candidates)
    )
