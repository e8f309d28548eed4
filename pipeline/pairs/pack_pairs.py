"""Pack the answers of all units, in plan order: one file of caption pairs, and one of every answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from conf.pairs import PairsFile
from pipeline.dataset.funnel import Funnel, funnel_of
from pipeline.dataset.pack import MANIFEST, HashingStream, PackedFile, digest_of, read_parts
from pipeline.pairs import output_file
from pipeline.pairs.two_step_settings import name_of
from pipeline.planning.plan import Plan
from stages.formats import answers
from stages.formats.answers import WrittenPair
from stages.storage.checksum import DamageError, seal, unseal
from stages.storage.store import Store
from stages.writers.minhash import NearAcross

ANSWERS = "answers/answers.parquet"
ACROSS = "near_duplicate_across"
_GROUP = 65_536


@dataclass(frozen=True)
class Written:
    """``pairs`` of ``captions`` are in the file; ``across`` were left away as near-duplicates of earlier ones."""

    pairs: int
    captions: int
    across: int


def pack_and_count(store: Store, plan: Plan, commits: Sequence[dict[str, Any]]) -> Funnel:
    """Pack the units, which are all committed, and count what became of their captions. Raises as ``pack``."""
    settings = plan.settings
    written = pack(store, commits, settings["checks.near_duplicate"], PairsFile(settings["file"]))
    funnel = funnel_of(plan, commits)
    if written.across:
        funnel.rejected[ACROSS] = written.across
    funnel.samples, funnel.pairs_kept = written.pairs, written.captions
    return funnel


def pack(
    store: Store,
    commits: Sequence[dict[str, Any]],
    near_duplicate: float | None,
    file: PairsFile = PairsFile.jsonl,
) -> Written:
    """Write the pairs and answers/answers.parquet; does nothing if they stand. A pure function of the commits.

    Raises PartError if a part is not what was committed.
    """
    digest = digest_of(commits)
    done = _standing(store, digest)
    if done is not None:
        return done
    store.sweep_scratch("answers")
    captions, kept, across = set[str](), 0, 0
    with (
        store.open_write(name_of(file)) as own_file,
        store.open_write(ANSWERS) as table,
        closing(HashingStream(own_file)) as pairs,
        closing(HashingStream(table)) as every,
    ):
        with (
            output_file.opened(file, pairs, lambda: _every(store, commits)) as write,
            pq.ParquetWriter(pa.PythonFile(every, "w"), answers.SCHEMA, compression="zstd") as writer,
        ):
            for group in _groups(_judged(store, commits, near_duplicate)):
                own = [answer for answer in group if answer.kept]
                writer.write_table(answers.table(group))
                write(own)
                across += sum(answer.reason == ACROSS for answer in group)
                kept += len(own)
                captions.update(answer.pair_id for answer in own)
        rows = sum(commit["candidates"] for commit in commits)
        packed = [pairs.packed(name_of(file), kept), every.packed(ANSWERS, rows)]
    written = Written(kept, len(captions), across)
    record = {"commits": digest, "files": [asdict(one) for one in packed], "written": asdict(written)}
    store.write(MANIFEST, seal(record).encode())
    return written


def _every(store: Store, commits: Sequence[dict[str, Any]]) -> Iterator[WrittenPair]:
    """Every answer, in plan order."""
    for data in read_parts(store, commits, "answers"):
        yield from answers.from_bytes(data)


def _judged(
    store: Store, commits: Sequence[dict[str, Any]], near_duplicate: float | None
) -> Iterator[WrittenPair]:
    """``_every``, of which those that are near an earlier caption's are kept no more."""
    near = None if near_duplicate is None else NearAcross(near_duplicate)
    for answer in _every(store, commits):
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
    packed = [PackedFile(**file) for file in record["files"]]
    whole = all(store.exists(one.name) and store.size(one.name) == one.bytes for one in packed)
    return Written(**record["written"]) if record["commits"] == digest and whole else None
