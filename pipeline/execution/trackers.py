"""The funnel over time for TensorBoard, Weights & Biases or MLflow: from the driver alone, and off unless asked for."""

from __future__ import annotations

import importlib
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from conf.either import Settings
from conf.messages import error_line
from conf.running import Tracker, TrackerKind
from pipeline.dataset.funnel import Funnel
from stages.storage.store import Store

NAME = "run/tracker"
SECONDS_BETWEEN = 5.0

Figures = Mapping[str, float]
Log = Callable[[int, Figures], None]
"""Takes a step, which is the number of caption pairs committed, and what to tell of it."""


class TrackerError(ValueError):
    """The tracker cannot be used: one line with the mend."""


@contextmanager
def tracked(
    config: Settings, store: Store, settings: Mapping[str, Any], funnel: Funnel, rate: Callable[[], float]
) -> Iterator[Callable[[], None]]:
    """Yields what is to be called after each commit: it tells the tracker of ``funnel`` every few seconds.

    ``settings`` are those that results depend on. The same output is the same run to the tracker, however often it is
    started again. Raises TrackerError if the tracker's library is not there or does not let itself be started; one that
    fails later is told of in the log, and the run goes on without it.
    """
    kind = config.tracker.kind
    if kind is TrackerKind.none:
        yield lambda: None
        return
    started, told, alive = time.monotonic(), -SECONDS_BETWEEN, True

    def tell() -> None:
        nonlocal alive
        try:
            log(funnel.pairs, figures(funnel, rate()))
        # Whatever a client raises, nobody's GPU hours hang on it.
        except Exception as error:
            alive = False
            print(f"tracker={kind.value}: {type(error).__name__}: {error}", file=sys.stderr)

    def tick() -> None:
        nonlocal told
        now = time.monotonic() - started
        if alive and now - told >= SECONDS_BETWEEN:
            told = now
            tell()

    with _opened(config.tracker, store, settings) as log:
        try:
            yield tick
        finally:
            if alive:
                tell()


def figures(funnel: Funnel, rate: float) -> dict[str, float]:
    """What is told: the funnel's counts, the workers' seconds by activity, and ``rate`` in caption pairs a second."""
    counts = ("pairs", "failed", "candidates", "samples", "pairs_kept", "rows", "keep_rate", "utilisation")
    return {
        **{name: float(getattr(funnel, name)) for name in counts},
        "pairs_per_second": rate,
        **{f"rejected/{reason}": float(count) for reason, count in funnel.rejected.items()},
        **{f"seconds/{activity}": spent for activity, spent in funnel.seconds.items()},
    }


@contextmanager
def _opened(tracker: Tracker, store: Store, settings: Mapping[str, Any]) -> Iterator[Log]:
    store.create_exclusive(NAME, uuid.uuid4().hex[:12].encode())
    run = store.read(NAME).decode()
    try:
        opened = OPENERS[tracker.kind](tracker, store, run, settings)
        log = opened.__enter__()
    except ImportError as error:
        raise TrackerError(
            f"tracker={tracker.kind.value} needs its library: pip install 'pairforge[{tracker.kind.value}]'"
        ) from error
    # Of whatever kind: an account that is missing, a server that does not answer, a folder that cannot be written.
    except Exception as error:
        reason = error_line(error)
        raise TrackerError(f"tracker={tracker.kind.value} does not start: {reason}") from error
    try:
        yield log
    finally:
        try:
            opened.__exit__(None, None, None)
        except Exception as error:
            print(f"tracker={tracker.kind.value}: {type(error).__name__}: {error}", file=sys.stderr)


@contextmanager
def _tensorboard(tracker: Tracker, store: Store, run: str, settings: Mapping[str, Any]) -> Iterator[Log]:
    module = importlib.import_module("torch.utils.tensorboard")
    with module.SummaryWriter(tracker.folder or f"{store.url}/run/tensorboard") as writer:
        writer.add_text("settings", "\n".join(f"    {name}: {value}" for name, value in settings.items()), 0)

        def log(step: int, told: Figures) -> None:
            for name, value in told.items():
                writer.add_scalar(name, value, step)
            writer.flush()

        yield log


@contextmanager
def _wandb(tracker: Tracker, store: Store, run: str, settings: Mapping[str, Any]) -> Iterator[Log]:
    wandb = importlib.import_module("wandb")
    with wandb.init(
        project=tracker.project,
        id=run,
        name=store.url.rpartition("/")[2],
        resume="allow",
        config=dict(settings),
        dir=tracker.folder,
        # What is printed is the run's own log, and no concern of others.
        settings=wandb.Settings(console="off"),
    ) as own:
        yield lambda step, told: own.log(dict(told), step=step)


@contextmanager
def _mlflow(tracker: Tracker, store: Store, run: str, settings: Mapping[str, Any]) -> Iterator[Log]:
    mlflow = importlib.import_module("mlflow")
    client = mlflow.MlflowClient(tracker.folder)
    known = client.get_experiment_by_name(tracker.project)
    experiment = known.experiment_id if known else client.create_experiment(tracker.project)
    found = client.search_runs([experiment], f"tags.pairforge = '{run}'")
    if found:
        own = found[0].info.run_id
        client.update_run(own, "RUNNING")
    else:
        name = store.url.rpartition("/")[2]
        own = client.create_run(experiment, tags={"pairforge": run}, run_name=name).info.run_id
        for key, value in settings.items():
            client.log_param(own, key, value)

    def log(step: int, told: Figures) -> None:
        now = int(time.time() * 1000)
        client.log_batch(own, [mlflow.entities.Metric(key, value, now, step) for key, value in told.items()])

    yield log
    client.set_terminated(own)


Opener = Callable[[Tracker, Store, str, Mapping[str, Any]], AbstractContextManager[Log]]
OPENERS: dict[TrackerKind, Opener] = {
    TrackerKind.tensorboard: _tensorboard,
    TrackerKind.wandb: _wandb,
    TrackerKind.mlflow: _mlflow,
}
