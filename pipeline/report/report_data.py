"""Reads the data of a report from an output, except the pictures. The run need not be finished."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from conf.schema import Config
from pipeline.config import saved
from pipeline.dataset.funnel import Funnel, funnel_of
from pipeline.dataset.pack import manifest
from pipeline.planning.plan import LINES, Plan, load
from stages.formats import parquet_tables
from stages.records import CaptionPair
from stages.storage.commits import (
    COMMITS,
    Commits,
    commit_name,
    committed_units,
    parts_deleted,
    read_part,
)
from stages.storage.heartbeat import read_heartbeats
from stages.storage.plan_files import read_unit
from stages.storage.store import Store

MOST_UNITS, MOST_CANDIDATES = 10_000, 2_000_000
"""Units and candidates that a report is drawn from. Of more units it takes every second, third …, evenly spread."""
TABLES = 256
"""Tables of scores that are joined at a time."""
SHOWN = 5000
"""Failed pairs that a report can list."""
COLUMNS = [field.name for field in parquet_tables.SCORES if not field.name.endswith("_prompt")]


@dataclass(frozen=True)
class ReportData:
    """What a run has written so far.

    ``funnel`` counts all ``units_done`` units. ``commits`` are those of the units that the report is drawn from, with
    their parts and failures alone: all of a small run, and of a larger one every ``stride``-th, with the units that
    have pictures and failures. ``scores``
    holds every candidate of these, without captions; ``pairs`` and ``unit_of`` are keyed by the ids of their pairs.
    ``committed_at`` and ``committed_pairs`` have the time of each committed unit, in seconds since 1970, and its
    number of pairs. ``pictures`` is False if run/parts, which holds the pictures, was deleted. ``is_live`` tells
    whether a driver was at work when the output was read.
    """

    config: Config
    plan: Plan
    units_done: int
    stride: int
    commits: tuple[dict[str, Any], ...]
    committed_at: np.ndarray
    committed_pairs: np.ndarray
    funnel: Funnel
    scores: pa.Table
    pairs: dict[str, CaptionPair]
    unit_of: dict[str, int]
    quarantined: tuple[dict[str, Any], ...]
    pictures: bool = True
    is_live: bool = False


def read_report_data(store: Store) -> ReportData:
    """Read an output. Raises PlanError or ConfigError if it is none, DamageError for damage."""
    plan, config = load(store), saved.read_image_config(store)
    times = store.times(COMMITS)
    indices = sorted(committed_units(store))
    committed = Commits(store, indices)
    funnel, pairs_of_unit = funnel_of(plan, ()), np.zeros(len(indices), np.int32)
    for place, commit in enumerate(committed):
        funnel.add(commit)
        pairs_of_unit[place] = commit["pairs"]
    stride = max(1, -(-len(indices) // MOST_UNITS), -(-funnel.candidates // MOST_CANDIDATES))
    commits = tuple(map(_shorten, _choose(committed, stride)))
    units = [read_unit(store, commit["unit"]) for commit in commits]
    pairs = {pair.id: pair for unit in units for pair in unit.pairs}
    has_parts = not parts_deleted(store, committed)
    return ReportData(
        config=config,
        plan=plan,
        units_done=len(indices),
        stride=stride,
        commits=commits,
        committed_at=np.array([times.get(commit_name(index), 0.0) for index in indices]),
        committed_pairs=pairs_of_unit,
        funnel=funnel,
        scores=_read_scores(store, commits, pairs, has_parts and stride > 1, funnel.candidates),
        pairs=pairs,
        unit_of={pair.id: unit.index for unit in units for pair in unit.pairs},
        quarantined=_read_quarantined(store),
        pictures=has_parts,
        is_live=any(driver.is_alive(time.time()) for driver in read_heartbeats(store)),
    )


def _choose(commits: Iterable[dict[str, Any]], stride: int) -> Iterator[dict[str, Any]]:
    """Yield every ``stride``-th commit, and those with pictures or, up to SHOWN failed pairs, with failures."""
    failed = 0
    for place, commit in enumerate(commits):
        has_pictures = "previews" in commit["part"] or "thumbnails" in commit["part"]
        if place % stride == 0 or has_pictures or (commit["failures"] and failed < SHOWN):
            failed += len(commit["failures"])
            yield commit


def _shorten(commit: dict[str, Any]) -> dict[str, Any]:
    """Return what the report needs of a commit: a tenth of it."""
    part = {kind: {"name": file["name"], "sha256": file["sha256"]} for kind, file in commit["part"].items()}
    return {"unit": commit["unit"], "part": part, "failures": commit["failures"]}


def _read_scores(
    store: Store,
    commits: Iterable[dict[str, Any]],
    pairs: Container[str],
    from_parts: bool,
    candidates: int,
) -> pa.Table:
    """The scores of ``pairs``, packed ones if these hold all ``candidates`` of the run, otherwise those of the parts.

    ``from_parts``: read the parts in any case, for few of many units.
    """
    packed = [file for file in manifest(store) if file.name.startswith("scores/")]
    is_packed = sum(file.rows for file in packed) == candidates and all(store.exists(f.name) for f in packed)
    if is_packed and not from_parts:
        files = (store.read(file.name) for file in packed)
    else:
        files = (data for commit in commits if (data := read_part(store, commit, "scores")) is not None)
    read = (_of_pairs(parquet_tables.from_bytes(data, COLUMNS), pairs) for data in files)
    tables = []
    while group := list(itertools.islice(read, TABLES)):
        tables.append(parquet_tables.join(group))
    return pa.concat_tables(tables) if tables else parquet_tables.SCORES.empty_table().select(COLUMNS)


def _of_pairs(scores: pa.Table, pairs: Container[str]) -> pa.Table:
    ids = scores["pair_id"].to_pylist()
    chosen = [pair_id in pairs for pair_id in ids]
    return scores if all(chosen) else scores.filter(pa.array(chosen))


def _read_quarantined(store: Store) -> tuple[dict[str, Any], ...]:
    if not store.exists(LINES):
        return ()
    # Not splitlines(): the text may hold U+2028, which does not end a line of JSON Lines.
    return tuple(json.loads(line) for line in store.read(LINES).decode().split("\n") if line)
