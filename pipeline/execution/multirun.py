"""Runs a sweep over settings (``--multirun``): complete outputs in OUT/0, OUT/1 and so on, and their table."""

from __future__ import annotations

import csv
import io
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import yaml
from rich.console import Console
from rich.table import Table

from conf.config_errors import ConfigError
from pipeline.dataset.funnel import SCORE_MEANINGS, funnel_of
from pipeline.dataset.pack import manifest
from pipeline.errors import INTERRUPTED, UNFINISHED, reported
from pipeline.output import OutputMode, json_line
from pipeline.planning.plan import PlanError, load
from stages.formats import parquet_tables
from stages.storage.commits import committed_units, read_commits
from stages.storage.ownership import Holding, claim
from stages.storage.store import DamageError, Store

NUMBERS = "multirun.yaml"
"""The swept settings of every run so far; a run's number is its place in this list."""
Steps = TypeVar("Steps")
"""The configuration of a run: of one step or of two."""
TABLE, JSON_TABLE = "multirun.csv", "multirun.json"
COUNTS = ("pairs", "candidates", "samples", "pairs_kept")


@dataclass(frozen=True)
class Sweep:
    """A sweep into the output ``out``: the swept settings of each run now, and those of every run, by number."""

    out: str
    runs: tuple[tuple[str, ...], ...]
    numbered: tuple[tuple[str, ...], ...]

    @classmethod
    def read(cls, out: str, keys: Sequence[str], combinations: Sequence[Sequence[str]]) -> Sweep:
        """Number the combinations. A combination that ran into ``out`` before keeps its number.

        keys: the settings with several values. Raises ConfigError for a damaged list of earlier runs.
        """
        runs = [tuple(s for s in combination if s.partition("=")[0] in keys) for combination in combinations]
        store = Store(out)
        try:
            earlier = yaml.safe_load(store.read(NUMBERS)) if store.exists(NUMBERS) else []
            numbered = dict.fromkeys(tuple(map(str, settings)) for settings in earlier)
        except (yaml.YAMLError, TypeError, ValueError) as error:
            raise ConfigError(
                f"{store.path(NUMBERS)} is damaged: remove it, or give another folder"
            ) from error
        return cls(out, tuple(dict.fromkeys(runs)), tuple(numbered | dict.fromkeys(runs)))

    def folder(self, settings: tuple[str, ...]) -> str:
        """The output of a run."""
        return f"{self.out.rstrip('/')}/{self.numbered.index(settings)}"


def run_combinations(
    keys: Sequence[str],
    combinations: Sequence[list[str]],
    configured: Callable[[list[str]], Steps],
    out_of: Callable[[Steps], str],
    prepare: Callable[[Sequence[Steps]], None],
    run: Callable[[Steps, OutputMode], int],
    mode: OutputMode,
) -> int:
    """Make a run of each combination of the values of ``keys`` and return the exit code, as ``run_all``.

    Every combination is composed and checked (``configured``) before the first run begins. Raises ConfigError.
    """
    if "out" in keys:
        raise ConfigError("out= takes one folder with --multirun: the runs go into OUT/0, OUT/1 and so on")
    sweep = Sweep.read(out_of(configured(combinations[0])), keys, combinations)
    fixed = [setting for setting in combinations[0] if setting.partition("=")[0] not in keys]
    steps = [configured([*fixed, *swept, f"out={sweep.folder(swept)}"]) for swept in sweep.runs]
    prepare(steps)
    return run_all(sweep, [partial(run, each) for each in steps], mode)


def run_all(sweep: Sweep, start: Sequence[Callable[[OutputMode], int]], mode: OutputMode) -> int:
    """Make every run of the sweep and return the exit code: that of the runs that failed, 1 if they differ.

    start: makes each run and returns its exit code. A run that fails does not stop the others, Ctrl-C does. The table
    is written after each run. Raises ConfigError if no run could begin, and StoreError for an output of anything else.
    """
    store, codes = Store(sweep.out), dict[tuple[str, ...], int]()
    numbers = [str(number) for number in range(len(sweep.numbered))]
    with claim(store, "out", Holding.multirun, steps=numbers):
        store.write(NUMBERS, yaml.safe_dump([list(settings) for settings in sweep.numbered]).encode())
        for settings, make in zip(sweep.runs, start, strict=True):
            if mode is OutputMode.text:
                print(f"{sweep.folder(settings)}: {' '.join(settings)}", flush=True)
            codes[settings] = _code_of(make, mode if mode is OutputMode.text else OutputMode.quiet)
            _write_table(store, sweep, codes, mode)
            if codes[settings] == INTERRUPTED:
                return INTERRUPTED
        if not any(number in numbers for number in store.top_level()):
            for name in (NUMBERS, TABLE, JSON_TABLE):
                store.remove(name)
            raise ConfigError(
                f"none of the {len(sweep.runs)} runs could begin: the lines above give the reasons"
            )
    _tell(sweep, _records(sweep, codes), mode)
    failed = set(codes.values()) - {0}
    return failed.pop() if len(failed) == 1 else UNFINISHED if failed else 0


def _code_of(make: Callable[[OutputMode], int], mode: OutputMode) -> int:
    try:
        return reported(lambda: make(mode))
    except Exception:  # a bug ends this run alone
        traceback.print_exc()
        return UNFINISHED


def _records(sweep: Sweep, codes: dict[tuple[str, ...], int]) -> list[dict[str, Any]]:
    """A record of each run so far, the earlier ones of this output too."""
    return [
        {
            "number": number,
            **dict(setting.split("=", 1) for setting in settings),
            **_figures(Store(sweep.folder(settings))),
            **({"exit_code": codes[settings]} if settings in codes else {}),
        }
        for number, settings in enumerate(sweep.numbered)
    ]


def _figures(store: Store) -> dict[str, float]:
    """The counts of a run, its keep rate, and the mean scores of its samples; {} for a run that has not begun."""
    try:
        funnel = funnel_of(load(store), read_commits(store, sorted(committed_units(store))))
        return {
            **{name: getattr(funnel, name) for name in COUNTS},
            "keep_rate": funnel.keep_rate,
            **_mean_scores(store),
        }
    except (PlanError, DamageError):
        return {}


def _mean_scores(store: Store) -> dict[str, float]:
    totals, samples = dict.fromkeys(SCORE_MEANINGS, 0.0), 0
    for file in manifest(store):
        if file.name.startswith("scores/"):
            scores = parquet_tables.from_bytes(store.read(file.name), [*SCORE_MEANINGS, "kept"])
            kept = scores.filter(scores["kept"])
            samples += kept.num_rows
            for name in totals:
                totals[name] += sum(kept[name].to_pylist())
    return {f"mean_{name}": total / samples for name, total in totals.items()} if samples else {}


def _write_table(store: Store, sweep: Sweep, codes: dict[tuple[str, ...], int], mode: OutputMode) -> None:
    records = _records(sweep, codes)
    if mode is OutputMode.json:
        store.write(JSON_TABLE, (_json(sweep, records) + "\n").encode())
        return
    text = io.StringIO()
    table = csv.DictWriter(text, list(_columns(records)), lineterminator="\n")
    table.writeheader()
    table.writerows({name: _round(value) for name, value in record.items()} for record in records)
    store.write(TABLE, text.getvalue().encode())


def _tell(sweep: Sweep, records: list[dict[str, Any]], mode: OutputMode) -> None:
    if mode is OutputMode.json:
        print(_json(sweep, records))
    elif mode is OutputMode.text:
        table = Table(box=None, header_style="", pad_edge=False)
        for name in _columns(records):
            words = name.rpartition(".")[2].removeprefix("mean_clip_").replace("_", " ")
            table.add_column(words, justify="right")
        for record in records:
            table.add_row(*(_cell(name, record.get(name, "")) for name in _columns(records)))
        # A file or a pipe has no width.
        Console(highlight=False, width=None if sys.stdout.isatty() else 200).print(table)
        print(f"The table is in {Store(sweep.out).path(TABLE)}")


def _cell(name: str, value: Any) -> str:
    if name == "keep_rate" and value != "":
        return f"{value:.0%}"
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _json(sweep: Sweep, records: list[dict[str, Any]]) -> str:
    return json_line({"out": sweep.out, "runs": records})


def _columns(records: list[dict[str, Any]]) -> dict[str, None]:
    """The names of all values, each once."""
    return dict.fromkeys(name for record in records for name in record)


def _round(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value
