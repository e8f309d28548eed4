"""Writes a unit: encodes its files, writes them as a part, and commits the part.

Each attempt writes under its own name. The first attempt to create the commit wins.
"""

from __future__ import annotations

import hashlib
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from conf.schema import ImageFormat
from stages.formats import parquet_tables, previews, tar
from stages.records import Candidate, Preview, Unit, UnitResult, WrittenPair
from stages.storage.commits import PARTS, commit_name
from stages.storage.store import Store

EXTENSIONS = {
    "samples": "tar",
    "rejected": "tar",
    "previews": "tar",
    "thumbnails": "tar",
    "scores": "parquet",
    "answers": "parquet",
}
"""Extensions of a part's files by kind."""


def encode_part(result: UnitResult, format: ImageFormat, quality: int = 100) -> dict[str, bytes]:
    """Encodes a unit's files by kind, as ``part_files`` does.

    ``format`` and ``quality`` are as in ``stages.formats.tar.encode_image``.
    """
    return part_files(
        result.unit,
        result.candidates,
        [tar.encode_sample(sample, format, quality) for sample in result.samples],
        [tar.encode_rejected(rejected, format, quality) for rejected in result.rejected],
        result.previews,
        result.thumbnails,
    )


def part_files(
    unit: Unit,
    candidates: Sequence[Candidate],
    samples: Sequence[tuple[str, tar.Files]],
    rejected: Sequence[tuple[str, tar.Files]],
    shown: Sequence[Preview],
    thumbnails: Sequence[Preview],
) -> dict[str, bytes]:
    """Returns the files by kind: scores (Parquet), samples, rejected, previews, thumbnails (tar). None is empty."""
    files = {}
    if samples:
        files["samples"] = tar.write_samples(samples)
    if rejected:
        files["rejected"] = tar.write_samples(rejected)
    if candidates:
        files["scores"] = parquet_tables.to_bytes(parquet_tables.scores_table(unit.pairs, candidates))
    if shown:
        files["previews"] = previews.to_bytes(shown)
    if thumbnails:
        files["thumbnails"] = previews.to_bytes(thumbnails, extension="webp")
    return files


def encode_answers(result: UnitResult) -> dict[str, bytes]:
    """Encodes a unit of captions: answers (Parquet), or no file if there are no answers."""
    if not result.answers:
        return {}
    return {"answers": parquet_tables.to_bytes(parquet_tables.answers_table(result.answers))}


def summarise(result: UnitResult) -> dict[str, Any]:
    """Counts the results of a unit. The counts stand in its commit and travel to the driver.

    In a unit of captions, answers count as candidates and kept answers as samples.
    """
    judged: list[Candidate | WrittenPair] = [*result.candidates, *result.answers]
    return {
        "unit": result.unit.index,
        "pairs": len(result.unit.pairs),
        "candidates": len(judged),
        **count_verdicts(judged),
        "failures": [asdict(failure) for failure in result.failures],
        "rows": result.rows,
        "seconds": {name: round(value, 3) for name, value in result.seconds.items()},
        "rescored": result.rescored,
        "shifts": {name: round(value, 6) for name, value in result.shifts.items()},
        # Another shape of the batches changes the last bits.
        **({"batch_rows": result.batch_rows} if result.batch_rows else {}),
    }


def count_verdicts(judged: Sequence[Candidate | WrittenPair]) -> dict[str, Any]:
    """Counts the pairs and samples that are kept, and the rejected candidates by reason."""
    return {
        "pairs_kept": len({candidate.pair_id for candidate in judged if candidate.kept}),
        "samples": sum(candidate.kept for candidate in judged),
        "rejected": dict(
            sorted(Counter(candidate.reason for candidate in judged if not candidate.kept).items())
        ),
    }


def write_unit(store: Store, files: dict[str, bytes], record: dict[str, Any]) -> bool:
    """Writes the part, then its commit. Returns False if another attempt committed first; this part is then unused.

    The part is complete before the commit names it, so every reader of a commit finds its part.
    """
    attempt = uuid.uuid4().hex[:12]
    part = {}
    for kind, data in files.items():
        name = f"{PARTS}/{record['unit']:08d}-{attempt}.{kind}.{EXTENSIONS[kind]}"
        store.write(name, data)
        part[kind] = {"name": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        if kind == "samples":
            # Packing copies samples by these offsets and parses no tar.
            part[kind]["ends"] = tar.sample_ends(data)
    return store.create_record(commit_name(record["unit"]), {**record, "part": part})
