from __future__ import annotations

from pathlib import Path

import pytest

from conf.schema import Config
from pipeline.dataset.funnel import funnel_of
from pipeline.planning.plan import PlanError
from pipeline.tasks.estimate import WORKERS, estimate
from stages.generate import Generate
from stages.storage.commits import read_commits
from stages.storage.store import Store
from tests import runs


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
    parts = sum(file["bytes"] for commit in commits for file in commit["part"].values())
    assert run.bytes == run.probe.bytes == pytest.approx(parts, rel=0.02)
    assert run.hours == {n: pytest.approx(run.probe.seconds / n / 3600) for n in WORKERS}


def test_a_probe_of_one_unit_is_multiplied(config: Config) -> None:
    run = estimate(config, probe_seconds=0)
    assert (run.pairs, run.probe.pairs, config.unit_pairs) == (5, 2, 2)
    for name in ("candidates", "rows", "samples", "bytes"):
        assert getattr(run, name) == round(getattr(run.probe, name) * 5 / 2)
    assert run.hours[1] == pytest.approx(run.probe.seconds * 5 / 2 / 3600)


def test_an_input_without_a_pair_has_no_estimate(config: Config) -> None:
    Path(config.captions.path).write_text("not JSON\n")
    with pytest.raises(PlanError, match="none of 1 lines is a good caption pair"):
        estimate(config, probe_seconds=0)
