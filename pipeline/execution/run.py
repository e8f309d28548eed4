"""Runs a task from the plan to the packed dataset. The same command again resumes a run."""

from __future__ import annotations

import json
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console

from conf.pairs import Settings
from conf.running import LogLevel
from pipeline.config import saved
from pipeline.dataset.funnel import Funnel, funnel_of
from pipeline.errors import NOT_THE_OUTPUT, FailedPairsError, RunError, unwritable
from pipeline.execution.failure_checks import check_failure_rate, check_first_pairs
from pipeline.execution.interrupt import check_deadline, deadline, end_reason, interruptible
from pipeline.execution.log_redirect import redirect_output
from pipeline.execution.progress import Display
from pipeline.execution.trackers import track
from pipeline.output import OutputMode, json_line
from pipeline.planning.plan import VERSIONS, Plan, make_or_resume
from pipeline.tasks import two_step_output
from pipeline.tasks.task import Task, task_of
from stages.storage.commits import Commits, committed_units, read_commits
from stages.storage.heartbeat import keep_heartbeat
from stages.storage.ownership import claim
from stages.storage.store import Store

LOG = "run/ray.log"
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


def run(
    config: Settings, mode: OutputMode = OutputMode.text, over: Callable[[], str] | None = None
) -> Funnel:
    """Make the output that ``config`` describes and return its funnel.

    ``over``: a ``deadline`` that began earlier, for the second run of a command; by default one that begins now.
    Raises the ValueErrors of the parts, each with one line for the user, and RunError.
    """
    over = over or deadline(config.cluster.hours)
    try:
        store = Store(config.out)
        with claim(store, "out"):
            store.prove_exclusive()
            task = task_of(config).freeze(store)
            plan = make_or_resume(store, task)
            saved.write(store, task.config)
        check_deadline(over)
        advice = task.advice(store, plan)
        if advice and mode is OutputMode.text:
            print(f"pairforge: {advice}", file=sys.stderr)
        return complete(task, plan, store, mode, over)
    except NOT_THE_OUTPUT:
        raise
    except OSError as error:
        raise RunError(unwritable(error, f"the output {config.out}")) from error


def complete(
    task: Task,
    plan: Plan,
    store: Store,
    mode: OutputMode = OutputMode.text,
    over: Callable[[], str] | None = None,
) -> Funnel:
    """Generate the units of ``plan`` that are not committed, then pack. Raises as ``run``.

    The deadline does not stop packing, which is short and would have to start again.
    """
    config = task.config
    over = over or deadline(config.cluster.hours)
    missing = sorted(set(range(plan.units)) - committed_units(store))
    first_kept = None
    if missing:
        first_kept = _generate(task, plan, store, missing, mode, over)
        check_deadline(over)
    funnel = task.finish(plan, store, Commits(store, range(plan.units)))
    if mode is OutputMode.text:
        task.tell(funnel, first_kept)
    elif mode is OutputMode.json:
        print(json_line(_json_result(config, funnel, first_kept, two_step_output.pairs_funnel(store))))
    if funnel.failed == plan.pairs:
        raise FailedPairsError(
            f"all {funnel.failed} caption pairs failed: quarantine/pairs.jsonl gives the reasons, and "
            f"pairforge retry-failed {store.url} tries them again"
        )
    return funnel


def _generate(
    task: Task,
    plan: Plan,
    store: Store,
    missing: Sequence[int],
    mode: OutputMode,
    over: Callable[[], str],
) -> float | None:
    """Generate ``missing`` units; return the seconds from the command to the first kept sample, None if none was."""
    # Ray takes a second to import, which a finished run or a wrong setting need not wait for.
    from pipeline.execution import ray_cluster, worker_pool
    from pipeline.execution.background_packing import packing_beside

    config = task.config
    store.write(VERSIONS, json.dumps(_versions(), indent=1).encode())
    waiting = set(missing)
    done = [unit for unit in range(plan.units) if unit not in waiting]
    before, shard_samples = funnel_of(plan, read_commits(store, done)), task.shard_samples
    with _terminal(config, store) as err:
        display = Display(Console(file=err, quiet=mode is not OutputMode.text), plan.pairs, before)
        with (
            display.live(),
            interruptible(end_reason(config.cluster, over, ray_cluster.room(config)), err),
            keep_heartbeat(store, display.rate, lambda: display.first_kept),
            track(config, store, plan.settings, display.funnel, display.rate) as tick,
            ray_cluster.cluster(config, display.explain_waiting),
            closing(
                worker_pool.run(config, plan.model_fingerprint, missing, task.encode, display.explain_waiting)
            ) as summaries,
            packing_beside(store, shard_samples, done) if shard_samples else nullcontext() as packing,
        ):
            # Candidates of an earlier command show that the settings can work.
            begun = before.candidates > 0
            checked = check_failure_rate(summaries, config.max_failure_rate, store.url)
            for summary in checked if begun else check_first_pairs(checked, plan.pairs, store.url):
                display.count_unit(summary)
                if packing:
                    packing.note(summary["unit"])
                tick()
    lost = sorted(waiting - committed_units(store))
    if lost:
        raise RunError(
            f"{len(lost)} of {plan.units} units were not finished in {worker_pool.TRIES} tries, the first of them unit "
            f"{lost[0]}: {store.path(LOG)} gives the reason; the same command tries them again, all others are done"
        )
    return display.first_kept


def _json_result(
    config: Settings, funnel: Funnel, first_kept: float | None, written: Funnel | None
) -> dict[str, Any]:
    rates = {"keep_rate": funnel.keep_rate, "utilisation": funnel.utilisation, "first_kept": first_kept}
    return {"out": config.out, **asdict(funnel), **rates, **({"written": asdict(written)} if written else {})}


def _versions() -> dict[str, str]:
    libraries = {name: metadata.version(name) for name in LIBRARIES}
    return {"python": platform.python_version(), "platform": platform.platform(), **libraries}


@contextmanager
def _terminal(config: Settings, store: Store) -> Iterator[TextIO]:
    """Yield the user's stderr, with the output of Ray and the libraries redirected to the log."""
    if config.log is LogLevel.debug:
        yield sys.stderr
    elif "://" not in config.out:
        with redirect_output(Path(config.out) / LOG) as terminal:
            yield terminal
    else:
        # A folder of its own, because other users of the machine may run too.
        with tempfile.TemporaryDirectory(prefix="pairforge-") as folder:
            log = Path(folder) / "ray.log"
            try:
                with redirect_output(log) as terminal:
                    yield terminal
            finally:
                # The run is complete without its log.
                with suppress(OSError):
                    before = store.read(LOG) if store.exists(LOG) else b""
                    store.write(LOG, before + log.read_bytes())
