"""Part, then commit: an attempt's files under its own name, then one record a unit that the first writer makes."""

from __future__ import annotations

import hashlib
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import xxhash

from conf.schema import ImageFormat
from stages.formats import answers, previews, score_table, tar
from stages.formats.answers import WrittenPair
from stages.records import Candidate, UnitResult
from stages.storage.checksum import seal, unseal
from stages.storage.store import Store

COMMITS = "run/commits"
PARTS = "run/parts"
QUICK = "xxh3_128"
TABLES = ("scores", "answers")
"""Kinds of a part's files that are Parquet; others are tar."""


class PartError(ValueError):
    """A part is damaged: one line that names it and the mend."""


def encode_part(result: UnitResult, format: ImageFormat, quality: int = 100) -> dict[str, bytes]:
    """A unit's files by kind: samples (tar), rejected (tar), scores (Parquet), previews (tar).

    What is empty is left out. ``format`` and ``quality`` are those of ``stages.formats.images.encode``.
    """
    files = {}
    if result.samples:
        files["samples"] = tar.pack_members(
            member for sample in result.samples for member in tar.members(sample, format, quality)
        )
    if result.rejected:
        files["rejected"] = tar.pack_members(
            member for one in result.rejected for member in tar.rejected_members(one, format, quality)
        )
    if result.candidates:
        files["scores"] = score_table.to_bytes(score_table.table(result.unit.pairs, result.candidates))
    if result.previews:
        files["previews"] = previews.to_bytes(result.previews)
    return files


def encode_answers(result: UnitResult) -> dict[str, bytes]:
    """The files by kind of a unit of captions: answers (Parquet), none if there are no answers."""
    return {"answers": answers.to_bytes(result.answers)} if result.answers else {}


def summary(result: UnitResult) -> dict[str, Any]:
    """The counts of a unit, as they stand in its commit and travel back to the driver.

    Of a unit of captions the candidates are the answers, and the samples those that are kept.
    """
    judged: list[Candidate | WrittenPair] = [*result.candidates, *result.answers]
    return {
        "unit": result.unit.index,
        "pairs": len(result.unit.pairs),
        "pairs_kept": len({one.pair_id for one in judged if one.kept}),
        "candidates": len(judged),
        "samples": len(result.samples) + sum(answer.kept for answer in result.answers),
        "rejected": dict(sorted(Counter(one.reason for one in judged if not one.kept).items())),
        "failures": [asdict(failure) for failure in result.failures],
        "rows": result.rows,
        "seconds": {name: round(value, 3) for name, value in result.seconds.items()},
        "rescored": result.rescored,
        "shifts": {name: round(value, 6) for name, value in result.shifts.items()},
    }


def write_unit(store: Store, files: dict[str, bytes], record: dict[str, Any]) -> bool:
    """Write the part, then commit it. False if another attempt was first: this one's part is an orphan then.

    A part is there before its commit names it, so whoever reads a commit finds the part.
    """
    attempt = uuid.uuid4().hex[:12]
    part = {}
    for kind, data in files.items():
        name = f"{PARTS}/{record['unit']:08d}-{attempt}.{kind}{'.parquet' if kind in TABLES else '.tar'}"
        store.write(name, data)
        part[kind] = described(name, data)
    commit = seal({**record, "part": part})
    return store.create_exclusive(commit_name(record["unit"]), commit.encode())


def described(name: str, data: bytes) -> dict[str, Any]:
    """What a commit says of a part's file: its name, its bytes, and two digests.

    SHA-256 is what others can check. XXH3, of 128 bits, tells damage just as well in a tenth of the time: packing
    goes by that, as it takes the SHA-256 of the same bytes once more, for their shard.
    """
    return {
        "name": name,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        QUICK: xxhash.xxh3_128_hexdigest(data),
    }


def commit_name(unit: int) -> str:
    return f"{COMMITS}/{unit:08d}.json"


def committed(store: Store) -> set[int]:
    """The indices of the units that are committed."""
    names = (name.rsplit("/", 1)[-1] for name in store.list(COMMITS))
    return {int(name.removesuffix(".json")) for name in names if name.endswith(".json")}


def read_commit(store: Store, unit: int) -> dict[str, Any]:
    """Raises FileNotFoundError for a unit that is not committed."""
    return next(read_commits(store, [unit]))


def read_commits(store: Store, units: Sequence[int]) -> Iterator[dict[str, Any]]:
    """The commits of ``units``, in their order.

    Raises FileNotFoundError for a unit that is not committed, DamageError for a commit that is not what was written.
    """
    names = [commit_name(unit) for unit in units]
    for name, data in zip(names, store.read_many(names), strict=True):
        yield unseal(data, store.path(name))


def read_part(store: Store, commit: dict[str, Any], kind: str, quick: bool = False) -> bytes | None:
    """The part's file of that kind, or None if the unit has none.

    It is held to its SHA-256; or, if ``quick``, to its XXH3 where the commit has one (those of old have none).
    Raises PartError if it is missing or its bytes are not those that were committed.
    """
    file = commit["part"].get(kind)
    if file is None:
        return None
    try:
        data = store.read(file["name"])
    except FileNotFoundError as error:
        raise _lost(store, file, commit["unit"], "is missing: it is part of what") from error
    if quick and QUICK in file:
        whole = xxhash.xxh3_128_hexdigest(data) == file[QUICK]
    else:
        whole = hashlib.sha256(data).hexdigest() == file["sha256"]
    if not whole:
        raise _lost(store, file, commit["unit"], "is not what")
    return data


def parts_deleted(store: Store, commits: Sequence[dict[str, Any]]) -> bool:
    """Whether all parts that the commits name are gone, as they may be once a run is packed and verified."""
    named = next((file["name"] for commit in commits for file in commit["part"].values()), None)
    # One that is there needs no look at all the others.
    return named is not None and not store.exists(named) and not store.list(PARTS)


def _lost(store: Store, file: dict[str, Any], unit: int, how: str) -> PartError:
    return PartError(
        f"{store.path(file['name'])} {how} unit {unit} committed: "
        f"pairforge repair {store.url} makes the unit again"
    )
