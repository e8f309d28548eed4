from __future__ import annotations

import json
import random
import socket
import tarfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import miniworld
import stages.generate
from conf.running import Sheet
from conf.schema import Config
from pipeline.dataset.funnel import funnel_of
from pipeline.dataset.pack import manifest, pack
from pipeline.planning.plan import PlanError
from pipeline.tasks.estimate import WORKERS, StageHere, estimate
from stages.generate import Generate
from stages.records import Place, Unit, UnitResult
from stages.storage.commits import read_commits
from stages.storage.store import Store
from tests import runs
from tests.pipeline.commands.test_repair import command


@pytest.fixture
def config(sd1_folder: Path, clip_folder: Path, tmp_path: Path) -> Config:
    path = runs.write_pairs(tmp_path / "pairs.jsonl")
    with path.open("a") as lines:
        lines.write("not JSON\n[]\n")
    more = ("captions=jsonl", f"captions.path={path}", f"out={tmp_path / 'out'}")
    return runs.config(sd1_folder, clip_folder, *more)


def test_a_probe_of_every_pair_counts_what_the_run_makes(config: Config) -> None:
    run = estimate(config, probe_seconds=1000)
    assert not Path(config.out).exists()
    plan, store = runs.committed(config, Generate), Store(config.out)
    commits = list(read_commits(store, range(plan.units)))
    funnel = funnel_of(plan, commits)
    assert (run.pairs, run.quarantined, run.units) == (plan.pairs, plan.quarantined, plan.units)
    assert (run.candidates, run.rows, run.samples) == (funnel.candidates, funnel.rows, funnel.samples)
    assert sum(run.reasons.values()) == 2
    parts = Counter[str]()
    for commit in commits:
        parts.update({kind: file["bytes"] for kind, file in commit["part"].items()})
    assert run.bytes == run.probe.bytes + run.preview_bytes == pytest.approx(parts.total(), rel=0.02)
    assert run.preview_bytes == pytest.approx(parts["previews"], rel=0.02)
    packed = pack(store, commits, config.shards.samples)
    assert run.packed_bytes == run.probe.packed_bytes
    assert run.packed_bytes == pytest.approx(sum(file.bytes for file in packed), abs=tarfile.RECORDSIZE)
    assert run.hours == {n: pytest.approx(run.probe.seconds / n / 3600) for n in WORKERS}


class OnGpu(StageHere):
    """The stage of a machine with a GPU."""

    def __init__(self, config: Config, model_fingerprint: str) -> None:
        super().__init__(config, model_fingerprint)
        self.place = Place("node-7", "NVIDIA H100", "0")


def test_hours_and_cost_of_gpus_are_those_of_the_workers(config: Config) -> None:
    priced = replace(config.cluster, price_per_gpu_hour=4.0, gpus_per_worker=0.5)
    config = replace(config, stage="benchmarks.scale.fake_stage.Fake", cluster=priced)
    run = estimate(config, 0, OnGpu)
    assert (run.probe.host, run.probe.device) == ("node-7", "NVIDIA H100")
    assert run.gpu_hours == pytest.approx(run.hours[1] / 2)
    assert run.cost == pytest.approx(run.hours[1] * 2)
    here = estimate(config, 0)
    assert (here.probe.host, here.probe.device) == (socket.gethostname(), "cpu")
    assert (here.gpu_hours, here.cost) == (None, None)


def test_a_probe_of_one_unit_is_multiplied(config: Config) -> None:
    run = estimate(config, probe_seconds=0)
    assert (run.pairs, run.probe.pairs, config.unit_pairs) == (5, 2, 2)
    for name in ("candidates", "rows", "samples"):
        assert getattr(run, name) == round(getattr(run.probe, name) * 5 / 2)
    assert run.bytes - run.preview_bytes == round(run.probe.bytes * 5 / 2)
    assert run.hours[1] == pytest.approx(run.probe.seconds * 5 / 2 / 3600)


@pytest.mark.parametrize(
    ("pairs", "attention"),
    [(0, 0), (3, 1), (12, 3), *(pytest.param(*sheet, marks=pytest.mark.long) for sheet in ((1, 1), (3, 0)))],
)
def test_previews_are_counted_for_the_pairs_of_the_sheet(config: Config, pairs: int, attention: int) -> None:
    config = replace(config, sheet=Sheet(pairs, attention))
    run = estimate(config, probe_seconds=0)
    plan, store = runs.committed(config, Generate), Store(config.out)
    parts = [commit["part"] for commit in read_commits(store, range(plan.units))]
    previews = sum(part["previews"]["bytes"] for part in parts if "previews" in part)
    assert run.preview_bytes == pytest.approx(previews, rel=0.25)
    assert run.bytes == pytest.approx(sum(f["bytes"] for part in parts for f in part.values()), rel=0.25)


def test_a_probe_of_failing_pairs_alone_has_no_estimate(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Generate, pairs: object) -> None:
        raise MemoryError("no room for the latents")

    monkeypatch.setattr(Generate, "_render", fail)
    with pytest.raises(PlanError, match="each of the 5 pairs of the probe failed: MemoryError: no room"):
        estimate(config, probe_seconds=1000)


def test_the_hours_have_no_start_and_no_previews(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(make: Callable[..., object]) -> Callable[..., object]:
        return lambda *arguments: (time.sleep(1), make(*arguments))[1]

    monkeypatch.setattr(stages.generate, "make_previews", slow(stages.generate.make_previews))
    monkeypatch.setattr(Generate, "__init__", slow(Generate.__init__))
    began = time.perf_counter()
    run = estimate(config, probe_seconds=1000)
    assert run.hours[1] * 3600 < time.perf_counter() - began - 4


def test_a_probe_that_keeps_nothing_gives_a_range(config: Config) -> None:
    config = replace(config, sheet=Sheet(0, 0), filter=replace(config.filter, clip_sim_0=1.0))
    run = estimate(config, probe_seconds=0)
    assert run.samples == 0
    low, high = run.samples_range
    assert low == 0 < high
    assert run.packed_bytes_range[0] == run.packed_bytes
    # Two pictures of 32 x 32 pixels in a tar.
    assert run.packed_bytes_range[1] - run.packed_bytes > high * 4 * tarfile.BLOCKSIZE


def test_the_probe_is_drawn_from_the_whole_input(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [replace(runs.PAIRS[0], input=f"a red ball on grass {n}") for n in range(400)]
    runs.write_pairs(Path(config.captions.path), pairs)
    probed = list[str]()

    def note(self: Generate, unit: Unit) -> UnitResult:
        probed.extend(pair.input for pair in unit.pairs)
        return make(self, unit)

    make = Generate.__call__
    monkeypatch.setattr(Generate, "__call__", note)
    run = estimate(replace(config, unit_pairs=10), probe_seconds=0)
    assert (run.pairs, run.probe.pairs) == (400, 10)
    assert max(int(text.split()[-1]) for text in probed) > 200


def test_units_of_slow_pairs_are_smaller(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.tasks.estimate.UNIT_SECONDS", 1e-6)
    assert estimate(config, probe_seconds=0).probe.pairs == 1


def test_a_pair_that_takes_too_long_ends_the_probe(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.tasks.estimate.PAIR_SECONDS", 0.2)
    monkeypatch.setattr(Generate, "_render", lambda self, pairs: time.sleep(60))
    with pytest.raises(
        PlanError, match="a caption pair takes more than 0 s on this machine, and 5 pairs more"
    ):
        estimate(config, probe_seconds=0)


PASSING = ("filter.clip_sim_0=0", "filter.clip_sim_1=0", "filter.clip_sim_dir=-1", "filter.clip_sim_image=0")
MINI = ("limit=64", "cluster.workers=1", "sampler.steps=3", "sweep.seeds=1")


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("sheet", "seconds", "settings"),
    [
        (0, 8, PASSING),
        (12, 8, ("seed=1", "sampler.steps=6")),
        # All pairs are probed.
        (12, 1000, ("seed=2", "shards=jpeg", "sweep.taus=[0.2,0.6]")),
    ],
)
def test_the_plan_of_64_pairs_is_near_the_finished_run(
    tmp_path: Path, sheet: int, seconds: int, settings: tuple[str, ...]
) -> None:
    """The demo's model and captions, in another order each time.

    A probe that kept few samples says so by its range. The plan is made before and after the run, because other
    processes may slow down either.
    """
    lines = miniworld.CAPTIONS.read_text().splitlines()
    random.Random(sheet + seconds).shuffle(lines)
    (tmp_path / "pairs.jsonl").write_text("\n".join(lines))
    settings = (
        *("captions=jsonl", f"captions.path={tmp_path / 'pairs.jsonl'}"),
        *(*MINI, *settings, f"sheet.pairs={sheet}", f"out={tmp_path / 'out'}"),
    )
    plan = ("plan", "--json", f"probe={seconds}", *settings)
    told = json.loads(command(tmp_path, *plan))
    command(tmp_path, *settings)
    again = json.loads(command(tmp_path, "plan", "--json", "probe=8", *settings))
    store = Store(str(tmp_path / "out"))
    commits = list(read_commits(store, range(told["units"])))
    counts = {
        "samples": sum(commit["samples"] for commit in commits),
        "bytes": sum(file["bytes"] for commit in commits for file in commit["part"].values()),
        "packed_bytes": sum(file.bytes for file in manifest(store)),
    }
    print({name: (count, told[name], told[f"{name}_range"]) for name, count in counts.items()}, told["probe"])
    assert told["pairs"] == 64
    for name, count in counts.items():
        low, high = told[f"{name}_range"]
        assert min(low, 0.8 * told[name]) <= count <= max(high, 1.25 * told[name])
    work, previews = (
        sum(s for commit in commits for name, s in commit["seconds"].items() if (name == "preview") is shown)
        for shown in (False, True)
    )
    hours = [run["hours"]["1"] * 3600 for run in (told, again)]
    totals = [run["hours"]["1"] * 3600 + run["preview_seconds"] for run in (told, again)]
    print(work, hours, previews, totals)
    assert 0.8 * min(hours) <= work <= 1.25 * max(hours)
    assert 0.8 * min(totals) <= work + previews <= 1.25 * max(totals)


def test_an_input_without_a_pair_has_no_estimate(config: Config) -> None:
    Path(config.captions.path).write_text("not JSON\n")
    with pytest.raises(PlanError, match="none of 1 lines is a good caption pair"):
        estimate(config, probe_seconds=0)
