"""Packs the answers of all units in plan order: a file of the kept caption pairs, and a file of all answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from conf.pairs import PairsFile
from pipeline.dataset.funnel import Funnel, funnel_of
from pipeline.dataset.pack import MANIFEST, HashingStream, digest_of, read_packed, read_parts
from pipeline.pairs import output_file
from pipeline.pairs.two_step_settings import name_of
from pipeline.planning.plan import Plan, load
from stages.formats import parquet_tables
from stages.records import WrittenPair
from stages.storage.commits import Commits, committed_units
from stages.storage.store import Store
from stages.writers.minhash import NearAcross

ANSWERS = "answers/answers.parquet"
ACROSS = "near_duplicate_across"
_GROUP = 65_536
"""Answers written at a time."""


@dataclass(frozen=True)
class PackedPairs:
    """``pairs`` of ``captions`` are in the file; ``across`` were left out as near-duplicates of earlier ones."""

    pairs: int
    captions: int
    across: int


def pack_and_count(store: Store, plan: Plan, commits: Iterable[dict[str, Any]]) -> Funnel:
    """Pack the units, which are all committed, and return the funnel of their captions. Raises as ``pack``."""
    settings = plan.settings
    written = pack(store, commits, settings["checks.near_duplicate"], PairsFile(settings["file"]))
    funnel = funnel_of(plan, commits)
    if written.across:
        funnel.rejected[ACROSS] = written.across
    funnel.samples, funnel.pairs_kept = written.pairs, written.captions
    return funnel


def complete_funnel(store: Store) -> Funnel | None:
    """Return the funnel of an output of caption pairs, which is packed if it is not; None if a unit is missing."""
    plan = load(store)
    if len(committed_units(store)) < plan.units:
        return None
    return pack_and_count(store, plan, Commits(store, range(plan.units)))


def pack(
    store: Store,
    commits: Iterable[dict[str, Any]],
    near_duplicate: float | None,
    file: PairsFile = PairsFile.jsonl,
) -> PackedPairs:
    """Write the pairs and answers/answers.parquet, unless they exist. A pure function of the commits.

    Raises DamageError if a part is not what was committed.
    """
    digest = digest_of(commits)
    if (earlier := read_packed(store, digest)) is not None:
        return PackedPairs(**earlier["written"])
    store.sweep_scratch("answers")
    captions, kept, across = set[str](), 0, 0
    with store.open_write(name_of(file)) as pairs_file, store.open_write(ANSWERS) as answers_file:
        pairs, every_answer = HashingStream(pairs_file), HashingStream(answers_file)
        with (
            output_file.open_writer(file, pairs, lambda: _read_answers(store, commits)) as write,
            pq.ParquetWriter(
                pa.PythonFile(every_answer, "w"), parquet_tables.ANSWERS, compression="zstd"
            ) as writer,
        ):
            answers = _reject_near(store, commits, near_duplicate)
            while group := list(islice(answers, _GROUP)):
                kept_answers = [answer for answer in group if answer.kept]
                writer.write_table(parquet_tables.answers_table(group))
                write(kept_answers)
                across += sum(answer.reason == ACROSS for answer in group)
                kept += len(kept_answers)
                captions.update(answer.pair_id for answer in kept_answers)
    count = sum(commit["candidates"] for commit in commits)
    packed = [pairs.packed(name_of(file), kept), every_answer.packed(ANSWERS, count)]
    written = PackedPairs(kept, len(captions), across)
    record = {"commits": digest, "files": [asdict(file) for file in packed], "written": asdict(written)}
    store.write_record(MANIFEST, record)
    return written


def _read_answers(store: Store, commits: Iterable[dict[str, Any]]) -> Iterator[WrittenPair]:
    """Yield all answers in plan order."""
    for data in read_parts(store, commits, "answers"):
        yield from parquet_tables.answers_of(parquet_tables.from_bytes(data))


def _reject_near(
    store: Store, commits: Iterable[dict[str, Any]], near_duplicate: float | None
) -> Iterator[WrittenPair]:
    """Yield all answers, with those rejected that are near a kept answer of an earlier caption."""
    near = None if near_duplicate is None else NearAcross(near_duplicate)
    for answer in _read_answers(store, commits):
        text = f"{answer.caption} {answer.instruction} {answer.edited_caption}"
        # Answers of one caption are compared when its unit is made: they share most of their letters.
        if answer.kept and near is not None and near(text, answer.pair_id):
            answer = replace(answer, kept=False, reason=ACROSS)
        yield answer
