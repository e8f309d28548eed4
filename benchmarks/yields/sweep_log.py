"""Sweeps caption pairs by the stage of a run and records every candidate's scores, one JSON line a pair.

A file is named after a digest of the settings and the models: an interrupted recording continues, and results of other
settings are never mixed in.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from conf.schema import Config
from pipeline.config.resolve import checked, compose
from pipeline.planning.run_fingerprint import Models, identify, settings_of
from stages.candidates.scoring import CLIP_SCORES
from stages.generate import Generate
from stages.records import CaptionPair, Unit


@dataclass(frozen=True)
class Trial:
    """One candidate: its sample, τ, guidance, CLIP's four scores, and whether it was kept."""

    sample: int
    tau: float
    guidance: float
    scores: tuple[float, ...]
    kept: bool


@dataclass(frozen=True)
class PairRecord:
    """One caption pair: denoiser rows, seconds, and its candidates in order."""

    pair: str
    kind: str
    rows: int
    seconds: float
    candidates: tuple[Trial, ...]


def configure(settings: Sequence[str]) -> Config:
    """The configuration of settings as given on the command line, without a contact sheet."""
    return checked(compose([*settings, "sheet.pairs=0", "captions=miniworld", "unit_pairs=1"]))


def log_path(folder: Path, name: str, config: Config, models: Models) -> Path:
    """The file for a configuration and models: its name depends on everything that changes a plan's results."""
    settings = json.dumps(settings_of(config, "", models), sort_keys=True)
    return folder / f"{name}-{hashlib.sha256(settings.encode()).hexdigest()[:10]}.jsonl"


def record(
    config: Config, pairs: Sequence[tuple[CaptionPair, str]], path: Path, seconds: float
) -> Iterator[str]:
    """Sweep the pairs, each with its kind, that the file lacks; start none after so many seconds.

    Yields a line of progress a pair.
    """
    recorded = {pair.pair for pair in read(path)}
    missing = [(pair, kind) for pair, kind in pairs if pair.id not in recorded]
    if not missing or seconds <= 0:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    stage, begin = Generate(config, identify(config).generator), time.perf_counter()
    for number, (pair, kind) in enumerate(missing):
        started = time.perf_counter()
        if started - begin > seconds:
            return
        result = stage(Unit(number, (pair,)))
        if result.failures:
            raise AssertionError(result.failures[0].reason)
        line = {
            "pair": pair.id,
            "kind": kind,
            "rows": result.rows,
            "seconds": round(time.perf_counter() - started, 3),
            "candidates": [
                [c.sample_index, c.tau, c.cfg_scale, [getattr(c, name) for name in CLIP_SCORES], c.kept]
                for c in result.candidates
            ],
        }
        with path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        yield f"{pair.id} {kind}: {len(result.samples)} of {len(result.candidates)} kept, {result.rows} rows"


def read(path: Path) -> list[PairRecord]:
    """The records of a file, none if it does not exist. An incomplete last line is ignored."""
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    records = []
    for line in map(json.loads, (line for line in lines if line.endswith("\n"))):
        trials = [
            Trial(sample, tau, guidance, tuple(scores), kept)
            for sample, tau, guidance, scores, kept in line["candidates"]
        ]
        records.append(PairRecord(line["pair"], line["kind"], line["rows"], line["seconds"], tuple(trials)))
    return records
