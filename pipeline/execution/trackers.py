"""Logs the funnel over time to TensorBoard, Weights & Biases or MLflow. The driver alone logs; the default is off."""

from __future__ import annotations

import importlib
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from conf.messages import error_line
from conf.pairs import Settings
from conf.running import Tracker, TrackerKind
from pipeline.dataset.funnel import Funnel
from stages.storage.store import Store

NAME = "run/tracker"
SECONDS_BETWEEN = 5.0

Figures = Mapping[str, float]
Log = Callable[[int, Figures], None]
"""Logs figures at a step, the number of committed caption pairs."""


class TrackerError(ValueError):
    """The tracker cannot be used: one line with the fix."""


@contextmanager
def track(
    config: Settings, store: Store, settings: Mapping[str, Any], funnel: Funnel, rate: Callable[[], float]
) -> Iterator[Callable[[], None]]:
    """Yield a function to call after each commit, which logs ``funnel`` every few seconds.

    ``settings`` are those that change results. An output stays the same run for the tracker when it is resumed. Raises
    TrackerError if the tracker's library is missing or does not start. If the tracker fails later, the log says so and
    the run goes on without it.
    """
    kind = config.tracker.kind
    if kind is TrackerKind.none:
        yield lambda: None
        return
    started, last, alive = time.monotonic(), -SECONDS_BETWEEN, True

    def log_now() -> None:
        nonlocal alive
        try:
            log(funnel.pairs, figures(funnel, rate()))
        # No error of a client may end the run.
        except Exception as error:
            alive = False
            print(f"tracker={kind.value}: {type(error).__name__}: {error}", file=sys.stderr)

    def tick() -> None:
        nonlocal last
        now = time.monotonic() - started
        if alive and now - last >= SECONDS_BETWEEN:
            last = now
            log_now()

    with _open(config.tracker, store, settings) as log:
        try:
            yield tick
        finally:
            if alive:
                log_now()


def figures(funnel: Funnel, rate: float) -> dict[str, float]:
    """The figures to log: counts, the workers' seconds by activity, and ``rate`` in caption pairs a second."""
    counts = ("pairs", "failed", "candidates", "samples", "pairs_kept", "rows", "keep_rate", "utilisation")
    return {
        **{name: float(getattr(funnel, name)) for name in counts},
        "pairs_per_second": rate,
        **{f"rejected/{reason}": float(count) for reason, count in funnel.rejected.items()},
        **{f"seconds/{activity}": spent for activity, spent in funnel.seconds.items()},
    }


@contextmanager
def _open(tracker: Tracker, store: Store, settings: Mapping[str, Any]) -> Iterator[Log]:
    store.create_exclusive(NAME, uuid.uuid4().hex[:12].encode())
    run = store.read(NAME).decode()
    try:
        context = OPENERS[tracker.kind](tracker, store, run, settings)
        log = context.__enter__()
    except ImportError as error:
        raise TrackerError(
            f"tracker={tracker.kind.value} needs its library: pip install 'pairforge[{tracker.kind.value}]'"
        ) from error
    # Any kind: a missing account, a server that does not answer, a folder that cannot be written.
    except Exception as error:
        reason = error_line(error)
        raise TrackerError(f"tracker={tracker.kind.value} does not start: {reason}") from error
    try:
        yield log
    finally:
        try:
            context.__exit__(None, None, None)
        except Exception as error:
            print(f"tracker={tracker.kind.value}: {type(error).__name__}: {error}", file=sys.stderr)


@contextmanager
def _tensorboard(tracker: Tracker, store: Store, run: str, settings: Mapping[str, Any]) -> Iterator[Log]:
    module = importlib.import_module("torch.utils.tensorboard")
    with module.SummaryWriter(tracker.folder or f"{store.url}/run/tensorboard") as writer:
        writer.add_text("settings", "\n".join(f"    {name}: {value}" for name, value in settings.items()), 0)

        def log(step: int, values: Figures) -> None:
            for name, value in values.items():
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
        # The console output is the run's log, which stays here.
        settings=wandb.Settings(console="off"),
    ) as wandb_run:
        yield lambda step, values: wandb_run.log(dict(values), step=step)


@contextmanager
def _mlflow(tracker: Tracker, store: Store, run: str, settings: Mapping[str, Any]) -> Iterator[Log]:
    mlflow = importlib.import_module("mlflow")
    client = mlflow.MlflowClient(tracker.folder)
    known = client.get_experiment_by_name(tracker.project)
    experiment = known.experiment_id if known else client.create_experiment(tracker.project)
    earlier = client.search_runs([experiment], f"tags.pairforge = '{run}'")
    if earlier:
        run_id = earlier[0].info.run_id
        client.update_run(run_id, "RUNNING")
    else:
        name = store.url.rpartition("/")[2]
        run_id = client.create_run(experiment, tags={"pairforge": run}, run_name=name).info.run_id
        for key, value in settings.items():
            client.log_param(run_id, key, value)

    def log(step: int, values: Figures) -> None:
        now = int(time.time() * 1000)
        client.log_batch(
            run_id, [mlflow.entities.Metric(key, value, now, step) for key, value in values.items()]
        )

    yield log
    client.set_terminated(run_id)


Opener = Callable[[Tracker, Store, str, Mapping[str, Any]], AbstractContextManager[Log]]
OPENERS: dict[TrackerKind, Opener] = {
    TrackerKind.tensorboard: _tensorboard,
    TrackerKind.wandb: _wandb,
    TrackerKind.mlflow: _mlflow,
}
