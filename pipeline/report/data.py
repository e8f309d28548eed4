"""What a run has left behind so far, finished or not: all that the report is made of, but the pictures."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from conf.schema import Config
from pipeline.config import saved
from pipeline.dataset.funnel import Funnel, funnel_of
from pipeline.dataset.pack import manifest
from pipeline.planning.plan import LINES, Plan, load
from pipeline.tasks import two_step_output
from stages.formats import parquet, score_table
from stages.records import CaptionPair
from stages.storage.plan_files import read_unit
from stages.storage.store import Store
from stages.write import committed, parts_deleted, read_commits, read_part

COLUMNS = [field.name for field in score_table.SCHEMA if not field.name.endswith("_prompt")]


@dataclass(frozen=True)
class Facts:
    """``scores`` holds every candidate so far, without captions; ``committed_at`` is in seconds since 1970.

    ``pairs`` and ``unit_of`` go by pair id, over the committed units; ``committed_at`` runs beside ``commits``.
    ``written`` is of the captions, where the caption pairs were written first. ``pictures`` says whether the parts,
    which hold them, are there still.
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
    written: Funnel | None = None
    pictures: bool = True

    @property
    def finished(self) -> bool:
        return len(self.commits) == self.plan.units


def read(store: Store) -> Facts:
    """Raises PlanError or ConfigError for what is not the output of a run, PartError and DamageError for damage."""
    plan, config = load(store), saved.of_samples(store)
    times = store.times("run/commits")
    done = sorted(committed(store))
    commits = tuple(read_commits(store, done))
    funnel = funnel_of(plan, commits)
    units = [read_unit(store, unit) for unit in done]
    names = [f"run/commits/{unit:08d}.json" for unit in done]
    return Facts(
        config=config,
        plan=plan,
        commits=commits,
        committed_at=tuple(times.get(name, 0.0) for name in names),
        funnel=funnel,
        scores=_scores(store, commits, funnel.candidates),
        pairs={pair.id: pair for unit in units for pair in unit.pairs},
        unit_of={pair.id: unit.index for unit in units for pair in unit.pairs},
        quarantined=_quarantined(store),
        written=two_step_output.written(store),
        pictures=not parts_deleted(store, commits),
    )


def _scores(store: Store, commits: tuple[dict[str, Any], ...], candidates: int) -> pa.Table:
    """The packed scores if they are those of the commits, otherwise the parts'."""
    packed = [file for file in manifest(store) if file.name.startswith("scores/")]
    if sum(file.rows for file in packed) == candidates and all(store.exists(file.name) for file in packed):
        files = (store.read(file.name) for file in packed)
    else:
        files = (data for commit in commits if (data := read_part(store, commit, "scores")) is not None)
    tables = [parquet.read(data, COLUMNS) for data in files]
    return pa.concat_tables(tables) if tables else score_table.SCHEMA.empty_table().select(COLUMNS)


def _quarantined(store: Store) -> tuple[dict[str, Any], ...]:
    if not store.exists(LINES):
        return ()
    # A line feed alone ends a line: the text may hold U+2028 and its like.
    return tuple(json.loads(line) for line in store.read(LINES).decode().split("\n") if line)
