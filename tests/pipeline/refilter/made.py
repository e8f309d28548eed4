"""Outputs of the real stages, made in this process as a worker makes them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from unittest import mock

import pyarrow as pa
import pytest

import p2p
from conf.schema import Config
from p2p.models.model_loader import load
from pipeline.cli.main import main
from pipeline.config import resolve
from stages.formats import parquet_tables
from stages.generate import Generate
from stages.storage.commits import committed_units, read_commits
from stages.storage.store import Store
from tests import runs

# Few steps: scores are spread, and thresholds between them tell candidates apart.
BASE = (
    "limit=4",
    "sweep.seeds=2",
    "sweep.taus=[0.2,0.5,0.8]",
    "sampler.steps=6",
    "unit_pairs=2",
    "shards.samples=3",
    "sheet.attention=0",
)
NAMES = ("clip_sim_0", "clip_sim_1", "clip_sim_dir", "clip_sim_image")


def thresholds(*values: float) -> tuple[str, ...]:
    return tuple(f"filter.{name}={value}" for name, value in zip(NAMES, values, strict=True))


LOOSE, TIGHT = thresholds(0.3, 0.3, 0.2, 0.5), thresholds(0.3, 0.6, 0.71, 0.77)


def generated(out: Path, *more: str) -> Config:
    """A run of the mini world's models over its own caption pairs, without Ray and without its documents."""
    config = resolve.checked(resolve.compose([*BASE, f"out={out}", *more]))
    with mock.patch.object(p2p, "load", _loaded_once):
        runs.packed(config, Generate)
    return config


@cache
def _loaded_once(path: str, **how: object) -> p2p.Editor:
    """The editor, which renders the same requests once: the runs differ in what they keep of them."""
    editor, known = load(path, **how), dict[str, list[p2p.Sweep]]()
    render = editor.sweep_many

    def sweep_many(requests: Sequence[p2p.SweepRequest], *more: object) -> list[p2p.Sweep]:
        asked = repr((requests, more))
        if asked not in known:
            known[asked] = render(requests, *more)
        return known[asked]

    editor.sweep_many = sweep_many
    return editor


def shards(out: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted((out / "data").glob("*.tar"))}


def table(out: Path) -> pa.Table:
    files = sorted((out / "scores").iterdir())
    return pa.concat_tables(parquet_tables.from_bytes(file.read_bytes()) for file in files)


def commits(out: Path) -> list[dict]:
    store = Store(str(out))
    return list(read_commits(store, sorted(committed_units(store))))


def refilter(*arguments: object, capsys: pytest.CaptureFixture[str] | None = None) -> str:
    """The command; what it said."""
    assert main(["refilter", *map(str, arguments)]) == 0
    return capsys.readouterr().out if capsys else ""
