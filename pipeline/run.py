"""One run, from the plan to the packed dataset. The same command again goes on where the last one ended."""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console

from conf.pairs import PairsConfig
from conf.schema import AdaptiveSweep, Config, LogLevel
from pipeline import halves, said, sheet, stored
from pipeline.beat import beating
from pipeline.card import card
from pipeline.errors import NOT_THE_OUTPUT, RunError, unwritable
from pipeline.funnel import Funnel, funnel_of
from pipeline.inputs import Settings
from pipeline.pack import pack
from pipeline.plan import Plan, make_or_resume
from pipeline.progress import Display, funnel_table
from pipeline.quiet import to_log
from pipeline.tracking import tracked
from pipeline.voice import Voice
from pipeline.watch import limits, watched
from stages import previews
from stages.records import Preview
from stages.starting import forkserver
from stages.store import Store
from stages.units import read_unit
from stages.write import committed, read_commits, read_part

LIBRARIES = [
    "pairforge",
    "torch",
    "diffusers",
    "transformers",
    "open_clip_torch",
    "ray",
    "datasets",
    "webdataset",
    "pyarrow",
    "pillow",
    "numpy",
]


def run(config: Settings, voice: Voice = Voice.terminal) -> Funnel:
    """Make the dataset that ``config`` describes and say so as ``voice`` has it; what became of its caption pairs.

    Raises the ValueErrors of the parts, each with one line for the user, and RunError.
    """
    try:
        store = Store(config.out)
        store.prove_exclusive()
        if isinstance(config, Config) and isinstance(config.sweep, AdaptiveSweep) and config.sweep.prior_from:
            # Imported here: who learns nothing need not wait for what reads an output.
            from pipeline.prior import frozen

            config = frozen(config, config.sweep, store)
        plan = make_or_resume(store, config)
        stored.write(store, config)
        return complete(config, plan, store, voice)
    except NOT_THE_OUTPUT:
        raise
    except OSError as error:
        raise RunError(unwritable(error, f"the output {config.out}")) from error


def complete(config: Settings, plan: Plan, store: Store, voice: Voice = Voice.terminal) -> Funnel:
    """Generate the units of ``plan`` that are not committed, then pack. Raises as ``run`` does."""
    missing = sorted(set(range(plan.units)) - committed(store))
    first_kept = None
    if missing:
        with forkserver(config):
            first_kept = _generate(config, plan, store, missing, voice)
    commits = list(read_commits(store, range(plan.units)))
    if isinstance(config, PairsConfig):
        # Imported here: who makes images needs no writer.
        from pipeline.pairs import ending

        return ending.finish(config, plan, store, commits, voice)
    funnel = finish(config, plan, store, commits)
    if voice is Voice.terminal:
        _tell(config, funnel, first_kept)
    elif voice is Voice.json:
        print(said.line(_answer(config, funnel, first_kept, halves.written(store))))
    return funnel


def _generate(
    config: Settings, plan: Plan, store: Store, missing: Sequence[int], voice: Voice
) -> float | None:
    """The seconds from the command to the first sample kept, None if none was."""
    # Ray takes a second to import: a finished run or a wrong setting need not wait for it.
    from pipeline import graph

    store.write("run/versions.json", json.dumps(_versions(), indent=1).encode())
    waiting = set(missing)
    before = funnel_of(plan, read_commits(store, [u for u in range(plan.units) if u not in waiting]))
    with _terminal(config) as err:
        display = Display(Console(file=err, quiet=voice is not Voice.terminal), plan.pairs, before)
        with (
            display.live(),
            watched(limits(config.cluster, graph.room(config)), err),
            beating(store, display.rate, lambda: display.first_kept),
            tracked(config, store, plan.settings, display.funnel, display.rate) as tick,
            graph.cluster(config),
            closing(graph.run(config, plan.model_fingerprint, missing)) as summaries,
        ):
            for summary in summaries:
                display.committed(summary)
                tick()
    lost = sorted(waiting - committed(store))
    if lost:
        raise RunError(
            f"{len(lost)} of {plan.units} units were not finished in {graph.TRIES} tries, the first of them unit "
            f"{lost[0]}: {_log(config)} says why; the same command tries them again, all others are done"
        )
    return display.first_kept


def finish(config: Config, plan: Plan, store: Store, commits: Sequence[dict[str, Any]]) -> Funnel:
    """Pack the units, all of them committed, and write what tells of them: sheet, card, report."""
    pack(store, commits, config.shards.samples)
    funnel = funnel_of(plan, commits)
    write_failures(store, commits)
    shown = list(_previews(store, commits))
    if shown:
        store.write("contact-sheet.png", sheet.draw(shown))
    store.write("README.md", card(config, funnel, bool(shown), halves.writing(store) is not None).encode())
    # matplotlib takes a second to import: a wrong setting need not wait for it.
    from pipeline.report import command

    command.write(store)
    return funnel


def write_failures(store: Store, commits: Sequence[dict[str, Any]]) -> None:
    """The pairs that failed, each with its reason, in quarantine/pairs.jsonl."""
    failures = b"".join(_failures(store, commits))
    if failures:
        store.write("quarantine/pairs.jsonl", failures)


def _failures(store: Store, commits: Sequence[dict[str, Any]]) -> Iterator[bytes]:
    for commit in commits:
        if not commit["failures"]:
            continue
        pairs = {pair.id: pair for pair in read_unit(store, commit["unit"]).pairs}
        for failure in commit["failures"]:
            record = {**failure, **asdict(pairs[failure["pair_id"]])}
            yield json.dumps(record, ensure_ascii=False).encode() + b"\n"


def _previews(store: Store, commits: Sequence[dict[str, Any]]) -> Iterator[Preview]:
    for commit in commits:
        data = read_part(store, commit, "previews")
        if data is not None:
            yield from previews.from_bytes(data)


def _tell(config: Config, funnel: Funnel, first_kept: float | None) -> None:
    console = Console(highlight=False)
    console.print(funnel_table(funnel))
    if first_kept is not None:
        console.print(
            f"\nFirst sample kept after {first_kept:.0f} s; "
            f"{funnel.utilisation:.0%} of the workers' time went into denoising",
            soft_wrap=True,
        )
    if funnel.score_shift:
        shifts = ", ".join(f"{name} {shift:.4f}" for name, shift in funnel.score_shift.items())
        console.print(f"Score shift of the scoring decoder, mean absolute: {shifts}", soft_wrap=True)
    where = config.out if "://" in config.out else os.path.relpath(config.out)
    console.print(
        f"\nThe dataset is in {where}: data/*.tar, scores/*.parquet, report/index.html", soft_wrap=True
    )
    if funnel.failed:
        console.print(
            f"{funnel.failed} caption pairs failed: quarantine/pairs.jsonl says why", soft_wrap=True
        )
    if not funnel.samples:
        console.print(
            "Nothing was kept: scores/*.parquet shows what each candidate missed (filter.clip_sim_…)"
        )


def _answer(
    config: Config, funnel: Funnel, first_kept: float | None, written: Funnel | None
) -> dict[str, Any]:
    rates = {"keep_rate": funnel.keep_rate, "utilisation": funnel.utilisation, "first_kept": first_kept}
    return {"out": config.out, **asdict(funnel), **rates, **({"written": asdict(written)} if written else {})}


def _versions() -> dict[str, str]:
    own = {name: metadata.version(name) for name in LIBRARIES}
    return {"python": platform.python_version(), "platform": platform.platform(), **own}


@contextmanager
def _terminal(config: Config) -> Iterator[TextIO]:
    """The user's stderr, with everybody else's chatter kept from it."""
    if config.log is LogLevel.debug:
        yield sys.stderr
        return
    with to_log(_log(config)) as terminal:
        yield terminal


def _log(config: Config) -> Path:
    if "://" in config.out:
        return Path(tempfile.gettempdir()) / "pairforge-ray.log"
    return Path(config.out) / "run" / "ray.log"
