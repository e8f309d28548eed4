"""Sweeps of caption pairs, by the stage that a run uses, with every candidate's scores written down as they come.

One line a caption pair, in a file named after a digest of the settings and the models: what was cut short goes on,
and what was made under other settings is never mixed in.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conf.schema import Config
from pipeline.config.resolve import checked, compose
from pipeline.planning.run_fingerprint import Models, identify, settings_of
from stages.candidates.scoring import CLIP_SCORES
from stages.generate import Generate
from stages.records import CaptionPair, Unit


@dataclass(frozen=True)
class Tried:
    """One candidate: its sample, τ, guidance, CLIP's four scores, and whether it was kept."""

    sample: int
    tau: float
    guidance: float
    scores: tuple[float, ...]
    kept: bool


@dataclass(frozen=True)
class Recorded:
    """One caption pair: the denoiser's rows, the seconds, and its candidates in their order."""

    pair: str
    kind: str
    rows: int
    seconds: float
    candidates: tuple[Tried, ...]


def configured(settings: Sequence[str]) -> Config:
    """The configuration of the command line's settings, without a contact sheet."""
    return checked(compose([*settings, "sheet.pairs=0", "captions=miniworld", "unit_pairs=1"]))


def place(folder: Path, name: str, config: Config, models: Models) -> Path:
    """The file for what this configuration makes of these models: all that a plan's results depend on."""
    told = json.dumps(settings_of(config, "", models), sort_keys=True)
    return folder / f"{name}-{hashlib.sha256(told.encode()).hexdigest()[:10]}.jsonl"


def record(
    config: Config, pairs: Sequence[tuple[CaptionPair, str]], path: Path, seconds: float
) -> Iterator[str]:
    """Sweep the pairs, each with its kind, that the file has not; begin none after so many seconds.

    Yields a line of progress a pair.
    """
    done = {one.pair for one in read(path)}
    missing = [(pair, kind) for pair, kind in pairs if pair.id not in done]
    if not missing or seconds <= 0:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    stage, started = Generate(config, identify(config).generator), time.perf_counter()
    for number, (pair, kind) in enumerate(missing):
        begun = time.perf_counter()
        if begun - started > seconds:
            return
        result = stage(Unit(number, (pair,)))
        if result.failures:
            raise AssertionError(result.failures[0].reason)
        line = {
            "pair": pair.id,
            "kind": kind,
            "rows": result.rows,
            "seconds": round(time.perf_counter() - begun, 3),
            "candidates": [
                [c.sample_index, c.tau, c.cfg_scale, [getattr(c, name) for name in CLIP_SCORES], c.kept]
                for c in result.candidates
            ],
        }
        with path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        yield f"{pair.id} {kind}: {len(result.samples)} of {len(result.candidates)} kept, {result.rows} rows"


def read(path: Path) -> list[Recorded]:
    """What a file holds; nothing where there is none. A last line that was cut off is left out."""
    lines: Iterable[str] = path.read_text().splitlines(keepends=True) if path.exists() else ()
    return [_recorded(json.loads(line)) for line in lines if line.endswith("\n")]


def _recorded(line: dict[str, Any]) -> Recorded:
    candidates = tuple(
        Tried(sample, tau, guidance, tuple(scores), kept)
        for sample, tau, guidance, scores, kept in line["candidates"]
    )
    return Recorded(line["pair"], line["kind"], line["rows"], line["seconds"], candidates)
