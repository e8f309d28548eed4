"""Outputs of the real stages, made in this process as a worker makes them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from conf.schema import Config
from pipeline import run, settings
from pipeline.cli import main
from stages import scores, write
from stages.generate import Generate
from stages.store import Store
from tests import runs

# Few steps: scores are spread, and thresholds between them tell candidates apart.
BASE = (
    "limit=4",
    "sweep.seeds=2",
    "sweep.taus=[0.2,0.5,0.8]",
    "sampler.steps=6",
    "unit_pairs=2",
    "shards.samples=3",
)
NAMES = ("clip_sim_0", "clip_sim_1", "clip_sim_dir", "clip_sim_image")


def thresholds(*values: float) -> tuple[str, ...]:
    return tuple(f"filter.{name}={value}" for name, value in zip(NAMES, values, strict=True))


LOOSE, TIGHT = thresholds(0.3, 0.3, 0.2, 0.5), thresholds(0.3, 0.6, 0.71, 0.77)


def generated(out: Path, *more: str) -> Config:
    """A run of the mini world's models over its own caption pairs, without Ray."""
    config = settings.checked(settings.compose([*BASE, f"out={out}", *more]))
    plan, store = runs.committed(config, Generate), Store(config.out)
    run.finish(config, plan, store, list(write.read_commits(store, range(plan.units))))
    return config


def shards(out: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted((out / "data").glob("*.tar"))}


def table(out: Path) -> pa.Table:
    files = sorted((out / "scores").iterdir())
    return pa.concat_tables(scores.from_bytes(file.read_bytes()) for file in files)


def commits(out: Path) -> list[dict]:
    store = Store(str(out))
    return list(write.read_commits(store, sorted(write.committed(store))))


def refilter(*arguments: object, capsys: pytest.CaptureFixture[str] | None = None) -> str:
    """The command; what it said."""
    assert main(["refilter", *map(str, arguments)]) == 0
    return capsys.readouterr().out if capsys else ""
