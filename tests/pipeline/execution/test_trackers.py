"""The trackers, each by its own client, offline."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conf.running import Tracker, TrackerKind
from pipeline.dataset.funnel import Funnel
from pipeline.execution import trackers
from pipeline.execution.trackers import TrackerError, track
from stages.storage.store import Store
from tests import runs
from tests.fire import fire
from tests.fire.fire import Fire

SETTINGS = {"seed": 7, "sweep.taus": [0.3, 0.6], "model.name": "sd15"}


def follow(folder: Path, *pairs: int, tracker: str, more: tuple[str, ...] = ()) -> Funnel:
    """Commits of so many pairs each, told to the tracker as a run does."""
    out = folder / "out"
    config = runs.config(folder, folder, f"out={out}", f"tracker={tracker}", *more)
    funnel = Funnel()
    with track(config, Store(str(out)), SETTINGS, funnel, lambda: 2.5) as tick:
        for count in pairs:
            funnel.pairs += count
            funnel.samples += 3 * count
            funnel.rejected["clip_sim_dir"] = funnel.rejected.get("clip_sim_dir", 0) + count
            funnel.seconds["denoise"] = 1.5
            tick()
    return funnel


@pytest.fixture
def every_tick(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(trackers, "SECONDS_BETWEEN", 0.0)


@pytest.mark.long
def test_a_run_tells_tensorboard_of_its_funnel(tmp_path: Path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = Fire(tmp_path / "run", fire.pairs(5), *fire.FAKE, "cluster.workers=1", "tracker=tensorboard")
    assert run.run(250) == 0, run.said()
    events = EventAccumulator(str(run.out / "run/tensorboard")).Reload()
    assert (events.Scalars("pairs")[-1].step, events.Scalars("pairs")[-1].value) == (5, 5.0)
    assert events.Scalars("samples")[-1].value == len(run.kept()) == 5
    assert events.Scalars("seconds/sweep")[-1].value == pytest.approx(0.003)


@pytest.mark.usefixtures("every_tick")
def test_tensorboard_reads_back_what_was_told(tmp_path: Path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    follow(tmp_path, 2, 3, tracker="tensorboard")
    events = EventAccumulator(str(tmp_path / "out/run/tensorboard")).Reload()
    assert set(events.Tags()["scalars"]) == set(
        trackers.figures(Funnel(rejected={"clip_sim_dir": 1}, seconds={"denoise": 1.0}), 1.0)
    )
    assert [(e.step, e.value) for e in events.Scalars("samples")] == [(2, 6.0), (5, 15.0), (5, 15.0)]
    assert events.Scalars("rejected/clip_sim_dir")[-1].value == 5
    assert events.Scalars("pairs_per_second")[-1].value == 2.5
    assert "settings/text_summary" in events.Tags()["tensors"]
    told = events.Tensors("settings/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "sweep.taus: [0.3, 0.6]" in told


def test_reports_are_seconds_apart_and_the_last_always_sent(tmp_path: Path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    follow(tmp_path, 1, 1, 1, 1, tracker="tensorboard", more=(f"tracker.folder={tmp_path / 'board'}",))
    events = EventAccumulator(str(tmp_path / "board")).Reload()
    assert [(e.step, e.value) for e in events.Scalars("pairs")] == [(1, 1.0), (4, 4.0)]
    assert not (tmp_path / "out/run/tensorboard").exists()


def logged(data: bytes) -> Iterator[bytes]:
    """The records of a LevelDB log with W&B's seven bytes before it: fragments, none of them over a block's end."""
    at, block, head, record = 7, 2**15, struct.Struct("<IHB"), b""
    while at + head.size <= len(data):
        _, size, kind = head.unpack_from(data, at)
        at += head.size
        record += data[at : at + size]
        at += size
        if kind in (1, 4):
            yield record
            record = b""
        if block - at % block < head.size:
            at += block - at % block


@pytest.mark.usefixtures("every_tick")
def test_wandb_offline_writes_what_was_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import wandb
    from wandb.proto import wandb_internal_pb2

    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.chdir(tmp_path)
    follow(tmp_path, 2, 3, tracker="wandb", more=(f"tracker.folder={tmp_path}", "tracker.project=edits"))
    wandb.teardown()
    (file,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    run = (tmp_path / "out" / trackers.NAME).read_text()
    assert file.name == f"run-{run}.wandb"
    history, projects = {}, []
    for data in logged(file.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.WhichOneof("record_type") == "run":
            projects.append(record.run.project)
        for item in record.history.item:
            history.setdefault(item.key or "/".join(item.nested_key), []).append(item.value_json)
    assert projects[0] == "edits"
    assert history["samples"][0] == "6"
    assert history["samples"][-1] == "15"


@pytest.mark.usefixtures("every_tick")
def test_mlflow_keeps_one_run_of_an_output_that_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    import mlflow

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    where = (f"tracker.folder={(tmp_path / 'mlruns').as_uri()}", "tracker.project=edits")
    follow(tmp_path, 2, 3, tracker="mlflow", more=where)
    follow(tmp_path, 8, tracker="mlflow", more=where)
    client = mlflow.MlflowClient((tmp_path / "mlruns").as_uri())
    (run,) = client.search_runs([client.get_experiment_by_name("edits").experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params["sweep.taus"] == "[0.3, 0.6]"
    steps = client.get_metric_history(run.info.run_id, "samples")
    assert [(metric.step, metric.value) for metric in steps[:2]] == [(2, 6.0), (5, 15.0)]
    assert steps[-1].step == 8


def test_off_is_the_default_and_imports_nothing(tmp_path: Path):
    config = runs.config(tmp_path, tmp_path, f"out={tmp_path / 'out'}")
    assert config.tracker == Tracker(TrackerKind.none)
    with track(config, Store(config.out), SETTINGS, Funnel(), lambda: 1.0) as tick:
        tick()
    assert not (tmp_path / "out").exists()
    code = "import sys, pipeline.execution.trackers; print({'wandb', 'mlflow', 'tensorboard'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


@pytest.mark.parametrize("tracker", ["tensorboard", "wandb", "mlflow"])
def test_a_library_that_is_not_there_is_told_with_its_extra(
    tracker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    monkeypatch.setitem(sys.modules, tracker, None)
    with pytest.raises(TrackerError, match=rf"tracker={tracker} .*pip install 'pairforge\[{tracker}\]'"):
        follow(tmp_path, 1, tracker=tracker)


def test_a_tracker_that_fails_ends_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    from torch.utils.tensorboard import SummaryWriter

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SummaryWriter, "add_scalar", lambda *arguments: 1 / 0)
        assert follow(tmp_path, 1, 1, tracker="tensorboard").pairs == 2
    assert capsys.readouterr().err == "tracker=tensorboard: ZeroDivisionError: division by zero\n"


def test_a_tracker_that_does_not_start_is_one_line(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TrackerError, match="tracker=tensorboard does not start: "):
        follow(tmp_path, 1, tracker="tensorboard", more=(f"tracker.folder={tmp_path / 'file'}",))
