from __future__ import annotations

import json
import tarfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import stages.generate
from conf.running import Sheet
from conf.schema import Config
from pipeline.dataset.funnel import funnel_of
from pipeline.dataset.pack import manifest, pack
from pipeline.planning.plan import PlanError
from pipeline.tasks.estimate import WORKERS, estimate
from stages.generate import Generate
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


def test_a_probe_of_one_unit_is_multiplied(config: Config) -> None:
    run = estimate(config, probe_seconds=0)
    assert (run.pairs, run.probe.pairs, config.unit_pairs) == (5, 2, 2)
    for name in ("candidates", "rows", "samples", "packed_bytes"):
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


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("sheet", [0, 12])
def test_the_plan_of_64_pairs_is_near_the_finished_run(tmp_path: Path, sheet: int) -> None:
    """The demo's model and captions, in three steps and with thresholds that they reach."""
    limits = (
        "filter.clip_sim_0=0",
        "filter.clip_sim_1=0",
        "filter.clip_sim_dir=-1",
        "filter.clip_sim_image=0",
    )
    run = ("limit=64", "cluster.workers=1", "sampler.steps=3", "sweep.seeds=1", *limits)
    settings = (*run, f"sheet.pairs={sheet}", f"out={tmp_path / 'out'}")
    told = json.loads(command(tmp_path, "plan", "--json", "probe=8", *settings))
    command(tmp_path, *settings)
    store = Store(str(tmp_path / "out"))
    commits = list(read_commits(store, range(told["units"])))
    parts = sum(file["bytes"] for commit in commits for file in commit["part"].values())
    packed = sum(file.bytes for file in manifest(store))
    seconds = sum(
        value for commit in commits for name, value in commit["seconds"].items() if name != "preview"
    )
    assert told["pairs"] == told["samples"] == 64
    assert told["bytes"] == pytest.approx(parts, rel=0.25)
    assert told["packed_bytes"] == pytest.approx(packed, rel=0.25)
    assert told["hours"]["1"] * 3600 == pytest.approx(seconds, rel=0.25)


def test_an_input_without_a_pair_has_no_estimate(config: Config) -> None:
    Path(config.captions.path).write_text("not JSON\n")
    with pytest.raises(PlanError, match="none of 1 lines is a good caption pair"):
        estimate(config, probe_seconds=0)
