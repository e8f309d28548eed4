"""Pack the answers of all units, in plan order: one file of caption pairs, and one of every answer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.pack import MANIFEST, Measured, Packed, parts
from stages import answers
from stages.answers import WrittenPair
from stages.captions.fields import KNOWN
from stages.sealed import DamageError, seal, unseal
from stages.store import Store
from stages.writers.near import NearAcross

PAIRS, ANSWERS = "pairs.jsonl", "answers/answers.parquet"
ACROSS = "near_duplicate_across"
_GROUP = 65_536
_TAKEN = frozenset(name for names in KNOWN.values() for name in names)


@dataclass(frozen=True)
class Written:
    """``pairs`` of ``captions`` are in the file; ``across`` were left away as near-duplicates of earlier ones."""

    pairs: int
    captions: int
    across: int


def pack(store: Store, commits: Sequence[dict[str, Any]], near_duplicate: float | None) -> Written:
    """Write pairs.jsonl and answers/answers.parquet; does nothing if they stand. A pure function of the commits.

    Raises PartError if a part is not what was committed.
    """
    digest = hashlib.sha256(json.dumps([commit["part"] for commit in commits]).encode()).hexdigest()
    done = _standing(store, digest)
    if done is not None:
        return done
    store.sweep_scratch("answers")
    captions, kept, across = set[str](), 0, 0
    with (
        store.open_write(PAIRS) as lines,
        store.open_write(ANSWERS) as table,
        closing(Measured(lines)) as pairs,
        closing(Measured(table)) as every,
    ):
        with pq.ParquetWriter(pa.PythonFile(every, "w"), answers.SCHEMA, compression="zstd") as writer:
            for group in _groups(_judged(store, commits, near_duplicate)):
                own = [answer for answer in group if answer.kept]
                writer.write_table(answers.table(group))
                pairs.write(b"".join(map(line, own)))
                across += sum(answer.reason == ACROSS for answer in group)
                kept += len(own)
                captions.update(answer.pair_id for answer in own)
        rows = sum(commit["candidates"] for commit in commits)
        packed = [pairs.packed(PAIRS, kept), every.packed(ANSWERS, rows)]
    written = Written(kept, len(captions), across)
    record = {"commits": digest, "files": [asdict(file) for file in packed], "written": asdict(written)}
    store.write(MANIFEST, seal(record).encode())
    return written


def line(answer: WrittenPair) -> bytes:
    """A caption pair as ``pairforge`` reads it. The caption's other fields travel along.

    Those that would be taken for the pair's own are called ``source_…``.
    """
    meta = json.loads(answer.meta)
    others = {f"source_{name}" if name in _TAKEN else name: value for name, value in meta.items()}
    pair = {"input": answer.caption, "edit": answer.instruction, "output": answer.edited_caption}
    return json.dumps({**pair, **others}, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"


def _judged(
    store: Store, commits: Sequence[dict[str, Any]], near_duplicate: float | None
) -> Iterator[WrittenPair]:
    """Every answer, in plan order, of which those that are near an earlier caption's are kept no more."""
    near = None if near_duplicate is None else NearAcross(near_duplicate)
    for data in parts(store, commits, "answers"):
        for answer in answers.from_bytes(data):
            text = f"{answer.caption} {answer.instruction} {answer.edited_caption}"
            # Two of one caption share most of their letters by nature: the unit has looked at them by themselves.
            if answer.kept and near is not None and near(text, answer.pair_id):
                answer = replace(answer, kept=False, reason=ACROSS)
            yield answer


def _groups(items: Iterator[WrittenPair]) -> Iterator[list[WrittenPair]]:
    held = list[WrittenPair]()
    for item in items:
        held.append(item)
        if len(held) == _GROUP:
            yield held
            held = []
    if held:
        yield held


def _standing(store: Store, digest: str) -> Written | None:
    try:
        record = unseal(store.read(MANIFEST), store.path(MANIFEST))
    except (FileNotFoundError, DamageError):
        return None
    files = [Packed(**file) for file in record["files"]]
    whole = all(store.exists(file.name) and store.size(file.name) == file.bytes for file in files)
    return Written(**record["written"]) if record["commits"] == digest and whole else None
