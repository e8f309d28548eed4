"""Reads a committed unit back, and encodes it under new verdicts with its images as they are stored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from conf.schema import Config, Keep
from stages.candidates.selection import sample_key, sample_metadata
from stages.formats import parquet_tables, previews, tar
from stages.formats.tar import EXTENSIONS
from stages.records import Candidate, Preview, Unit
from stages.storage.commits import read_commit, read_part
from stages.storage.plan_files import read_unit
from stages.storage.store import Store
from stages.write import count_verdicts, part_files

Encoded = tuple[bytes, bytes]
"""Input and edited image, as files."""


@dataclass(frozen=True)
class StoredUnit:
    """``candidates`` in the order of the first choice. ``images`` by the candidate's index, if they are stored."""

    unit: Unit
    commit: dict[str, Any]
    candidates: tuple[Candidate, ...]
    images: dict[int, Encoded]
    previews: tuple[Preview, ...]
    thumbnails: tuple[Preview, ...]


def read(store: Store, unit: int) -> StoredUnit:
    """Read a committed unit by its index.

    Raises FileNotFoundError for a unit without a commit, DamageError for a damaged file.
    """
    commit = read_commit(store, unit)
    kept, rejected, scores, preview, thumbnail = (
        read_part(store, commit, kind) for kind in ("samples", "rejected", "scores", "previews", "thumbnails")
    )
    candidates = tuple(parquet_tables.candidates_of(parquet_tables.from_bytes(scores))) if scores else ()
    indices = group_indices(map(sample_key, candidates))
    images = {}
    for key, files in _read_samples(kept):
        index = next(index for index in indices[key] if candidates[index].kept)
        images[index] = (files["input_image"], files["edited_image"])
    for key, files in _read_samples(rejected):
        source = files.pop("input_image")
        for name, image in files.items():
            images[indices[key][int(name.partition(".")[2])]] = (source, image)
    return StoredUnit(
        read_unit(store, unit),
        commit,
        candidates,
        images,
        tuple(previews.from_bytes(preview)) if preview else (),
        tuple(previews.from_bytes(thumbnail)) if thumbnail else (),
    )


def encode(
    stored: StoredUnit, candidates: Sequence[Candidate], config: Config, model_fingerprint: str
) -> dict[str, bytes]:
    """Return the files by kind, as ``stages.write.encode_part`` makes them in a run with the same verdicts."""
    extension = EXTENSIONS[config.shards.format]
    all_images = config.keep is Keep["all-images"]
    return part_files(
        stored.unit,
        candidates,
        list(_samples(stored, candidates, config, model_fingerprint, extension)),
        list(_rejected(stored, candidates, extension)) if all_images else [],
        [_judge_again(preview, candidates) for preview in stored.previews],
        [_judge_again(thumbnail, candidates) for thumbnail in stored.thumbnails],
    )


def record(
    stored: StoredUnit, candidates: Sequence[Candidate], missing: Sequence[Candidate]
) -> dict[str, Any]:
    """Return the unit's commit record with new counts, and ``missing``. Rows and seconds stay those of the run."""
    old = {name: value for name, value in stored.commit.items() if name != "part"}
    missing_records = [_missing_record(candidate) for candidate in missing]
    return old | count_verdicts(candidates) | {"missing": missing_records}


def group_indices(keys: Iterable[str]) -> dict[str, list[int]]:
    """Return the indices of equal keys, in order."""
    indices: dict[str, list[int]] = defaultdict(list)
    for index, key in enumerate(keys):
        indices[key].append(index)
    return indices


def _read_samples(data: bytes | None) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Yield each key with its files, named without the extension."""
    for key, files in tar.read_samples(data) if data else ():
        yield key, {name.rpartition(".")[0]: content for name, content in files.items()}


def _samples(
    stored: StoredUnit,
    candidates: Sequence[Candidate],
    config: Config,
    model_fingerprint: str,
    extension: str,
) -> Iterator[tuple[str, tar.Files]]:
    pairs = {pair.id: pair for pair in stored.unit.pairs}
    for index, candidate in enumerate(candidates):
        if candidate.kept:
            pair = pairs[candidate.pair_id]
            metadata = sample_metadata(pair, candidate, config, model_fingerprint)
            files = tar.sample_files(*stored.images[index], pair.edit, metadata, extension)
            yield sample_key(candidate), files


def _rejected(
    stored: StoredUnit, candidates: Sequence[Candidate], extension: str
) -> Iterator[tuple[str, tar.Files]]:
    for key, indices in group_indices(map(sample_key, candidates)).items():
        images = {
            number: stored.images[index]
            for number, index in enumerate(indices)
            if index in stored.images and not candidates[index].kept
        }
        if images:
            yield key, tar.rejected_files(images, extension)


def _missing_record(candidate: Candidate) -> dict[str, Any]:
    values = {"key": sample_key(candidate), "p2p_threshold": candidate.tau, **asdict(candidate)}
    return {
        name: value for name, value in values.items() if name not in ("tau", "kept", "reason", "measures")
    }


def _judge_again(preview: Preview, candidates: Sequence[Candidate]) -> Preview:
    """Return the preview with its candidates' new verdicts."""
    judged = {(c.pair_id, c.sample_index, c.tau): c for c in candidates}
    return replace(
        preview, candidates=tuple(judged[c.pair_id, c.sample_index, c.tau] for c in preview.candidates)
    )
