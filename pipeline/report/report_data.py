"""Reads the data of a report from an output, except the pictures. The run need not be finished."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from conf.schema import Config
from pipeline.config import saved
from pipeline.dataset.funnel import Funnel, funnel_of
from pipeline.dataset.pack import manifest
from pipeline.planning.plan import LINES, Plan, load
from stages.formats import parquet_tables
from stages.records import CaptionPair
from stages.storage.commits import committed_units, parts_deleted, read_commits, read_part
from stages.storage.heartbeat import read_heartbeats
from stages.storage.plan_files import read_unit
from stages.storage.store import Store

COLUMNS = [field.name for field in parquet_tables.SCORES if not field.name.endswith("_prompt")]


@dataclass(frozen=True)
class ReportData:
    """What a run has written so far.

    ``scores`` holds every candidate, without captions. ``committed_at`` holds the time of each of ``commits`` in
    seconds since 1970. ``pairs`` and ``unit_of`` are keyed by pair id. ``pictures`` is False if run/parts, which
    holds the pictures, was deleted. ``is_live`` tells whether a driver was at work when the output was read.
    """

    config: Config
    plan: Plan
    commits: tuple[dict[str, Any], ...]
    committed_at: tuple[float, ...]
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
    times = store.times("run/commits")
    indices = sorted(committed_units(store))
    commits = tuple(read_commits(store, indices))
    funnel = funnel_of(plan, commits)
    units = [read_unit(store, index) for index in indices]
    return ReportData(
        config=config,
        plan=plan,
        commits=commits,
        committed_at=tuple(times.get(f"run/commits/{index:08d}.json", 0.0) for index in indices),
        funnel=funnel,
        scores=_read_scores(store, commits, funnel.candidates),
        pairs={pair.id: pair for unit in units for pair in unit.pairs},
        unit_of={pair.id: unit.index for unit in units for pair in unit.pairs},
        quarantined=_read_quarantined(store),
        pictures=not parts_deleted(store, commits),
        is_live=any(driver.is_alive(time.time()) for driver in read_heartbeats(store)),
    )


def _read_scores(store: Store, commits: tuple[dict[str, Any], ...], candidates: int) -> pa.Table:
    """The packed scores if they hold all candidates of the commits, otherwise those of the parts."""
    packed = [file for file in manifest(store) if file.name.startswith("scores/")]
    if sum(file.rows for file in packed) == candidates and all(store.exists(file.name) for file in packed):
        files = (store.read(file.name) for file in packed)
    else:
        files = (data for commit in commits if (data := read_part(store, commit, "scores")) is not None)
    tables = [parquet_tables.from_bytes(data, COLUMNS) for data in files]
    return pa.concat_tables(tables) if tables else parquet_tables.SCORES.empty_table().select(COLUMNS)


def _read_quarantined(store: Store) -> tuple[dict[str, Any], ...]:
    if not store.exists(LINES):
        return ()
    # Not splitlines(): the text may hold U+2028, which does not end a line of JSON Lines.
    return tuple(json.loads(line) for line in store.read(LINES).decode().split("\n") if line)
