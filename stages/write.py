"""Writes a unit: encodes its files, writes them as a part, and commits the part.

Each attempt writes under its own name. The first attempt to create the commit wins.
"""

from __future__ import annotations

import hashlib
import uuid
from collections import Counter
from dataclasses import asdict
from typing import Any

from conf.schema import ImageFormat
from stages.formats import answers, previews, score_table, tar
from stages.records import Candidate, UnitResult, WrittenPair
from stages.storage.checksum import seal
from stages.storage.commits import PARTS, commit_name
from stages.storage.store import Store

TABLES = ("scores", "answers")
"""Kinds of a part's files that are Parquet; others are tar."""


def encode_part(result: UnitResult, format: ImageFormat, quality: int = 100) -> dict[str, bytes]:
    """Encodes a unit's files by kind: samples (tar), rejected (tar), scores (Parquet), previews (tar).

    Empty files are left out. ``format`` and ``quality`` are as in ``stages.formats.images.encode``.
    """
    files = {}
    if result.samples:
        files["samples"] = tar.write_samples(
            tar.encode_sample(sample, format, quality) for sample in result.samples
        )
    if result.rejected:
        files["rejected"] = tar.write_samples(
            tar.encode_rejected(rejected, format, quality) for rejected in result.rejected
        )
    if result.candidates:
        files["scores"] = score_table.to_bytes(score_table.table(result.unit.pairs, result.candidates))
    if result.previews:
        files["previews"] = previews.to_bytes(result.previews)
    return files


def encode_answers(result: UnitResult) -> dict[str, bytes]:
    """Encodes a unit of captions: answers (Parquet), or no file if there are no answers."""
    return {"answers": answers.to_bytes(result.answers)} if result.answers else {}


def summarise(result: UnitResult) -> dict[str, Any]:
    """Counts what became of a unit. The counts stand in its commit and travel to the driver.

    In a unit of captions, answers count as candidates and kept answers as samples.
    """
    judged: list[Candidate | WrittenPair] = [*result.candidates, *result.answers]
    return {
        "unit": result.unit.index,
        "pairs": len(result.unit.pairs),
        "pairs_kept": len({candidate.pair_id for candidate in judged if candidate.kept}),
        "candidates": len(judged),
        "samples": len(result.samples) + sum(answer.kept for answer in result.answers),
        "rejected": dict(
            sorted(Counter(candidate.reason for candidate in judged if not candidate.kept).items())
        ),
        "failures": [asdict(failure) for failure in result.failures],
        "rows": result.rows,
        "seconds": {name: round(value, 3) for name, value in result.seconds.items()},
        "rescored": result.rescored,
        "shifts": {name: round(value, 6) for name, value in result.shifts.items()},
    }


def write_unit(store: Store, files: dict[str, bytes], record: dict[str, Any]) -> bool:
    """Writes the part, then its commit. Returns False if another attempt committed first; this part is then unused.

    The part is complete before the commit names it, so every reader of a commit finds its part.
    """
    attempt = uuid.uuid4().hex[:12]
    part = {}
    for kind, data in files.items():
        name = f"{PARTS}/{record['unit']:08d}-{attempt}.{kind}{'.parquet' if kind in TABLES else '.tar'}"
        store.write(name, data)
        part[kind] = {"name": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        if kind == "samples":
            # Packing copies samples by these offsets and parses no tar.
            part[kind]["ends"] = tar.sample_ends(data)
    commit = seal({**record, "part": part})
    return store.create_exclusive(commit_name(record["unit"]), commit.encode())
