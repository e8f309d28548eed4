"""A prior that is learnt from an earlier output when a run is planned."""

from __future__ import annotations

from pathlib import Path

import pytest

from conf.config_errors import ConfigError
from conf.schema import Config
from conf.sweeps import AdaptiveSweep
from pipeline.config import resolve, saved
from pipeline.planning.plan import PlanError, make_or_resume
from pipeline.planning.run_fingerprint import Models, difference, settings_of
from pipeline.tasks.prior_from import freeze_priors
from pipeline.tasks.task import task_of
from stages import write
from stages.candidates.adaptive import ANY
from stages.generate import Generate
from stages.storage import plan_files
from stages.storage.store import Store
from tests import runs

GRID = ("sweep=grid", "sweep.seeds=2", "sweep.taus=[0.25,1.0]", "sampler.guidance=3.0")


def run(config: Config) -> Store:
    """All units of a run, by the stage itself."""
    store = Store(config.out)
    plan = make_or_resume(store, task_of(config))
    saved.write(store, config)
    stage = Generate(config, plan.model_fingerprint)
    for unit in plan_files.read_units(store, plan.units):
        result = stage(unit)
        files = write.encode_part(result, config.shards.format, config.shards.quality)
        write.write_unit(store, files, write.summarise(result))
    return store


@pytest.fixture(scope="module")
def models(sd1_folder: Path, clip_folder: Path) -> tuple[Path, Path]:
    return sd1_folder, clip_folder


@pytest.fixture(scope="module")
def first(models: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output in which everything passed."""
    folder = tmp_path_factory.mktemp("first")
    path = runs.write_pairs(folder / "pairs.jsonl")
    more = ("captions=jsonl", f"captions.path={path}", f"out={folder / 'out'}", *GRID)
    run(resolve.checked(resolve.compose(runs.settings(*models, *more))))
    return folder


def adaptive(models: tuple[Path, Path], first: Path, out: Path, *more: str) -> Config:
    asked = (
        "captions=jsonl",
        f"captions.path={first / 'pairs.jsonl'}",
        f"out={out}",
        "sweep=adaptive",
        "sweep.taus=[0.25,1.0]",
        "sweep.prior=[0.5,0.5]",
        f"sweep.prior_from={first / 'out'}",
        *more,
    )
    return resolve.checked(resolve.compose(runs.settings(*models, *asked)))


def learnt(config: Config) -> AdaptiveSweep:
    assert isinstance(config.sweep, AdaptiveSweep)
    sweep = freeze_priors(config, Store(config.out)).sweep
    assert isinstance(sweep, AdaptiveSweep)
    return sweep


def test_priors_are_learnt_under_this_run_s_thresholds(
    models: tuple[Path, Path], first: Path, tmp_path: Path
):
    everything = learnt(adaptive(models, first, tmp_path / "a")).priors
    assert {one.kind for one in everything} == {ANY, "make", "add", "put"}
    assert all(chance > 0.5 for one in everything for chance in one.prior)
    nothing = learnt(adaptive(models, first, tmp_path / "b", "filter.clip_sim_dir=1")).priors
    assert all(chance < 0.5 for one in nothing for chance in one.prior)


def test_a_plan_keeps_its_priors(models: tuple[Path, Path], first: Path, tmp_path: Path):
    config = adaptive(models, first, tmp_path / "out")
    assert isinstance(config.sweep, AdaptiveSweep)
    store = Store(config.out)
    planned = freeze_priors(config, store)
    make_or_resume(store, task_of(planned))
    saved.write(store, planned)
    (first / "out").rename(first / "moved")
    try:
        assert make_or_resume(store, task_of(freeze_priors(config, store))).pairs == 5
        with pytest.raises(PlanError, match="is not the output of a run"):
            learnt(adaptive(models, first, tmp_path / "fresh"))
    finally:
        (first / "moved").rename(first / "out")
    with pytest.raises(PlanError, match=r"sweep\.priors"):
        make_or_resume(store, task_of(adaptive(models, first, tmp_path / "out", "sweep.prior_from=null")))


def test_priors_enter_the_plan_and_their_source_does_not(models: tuple[Path, Path], first: Path):
    told = settings_of(adaptive(models, first, Path("/o")), "", Models("g", "c"))
    assert not difference(
        told, settings_of(adaptive(models, first, Path("/o"), "sweep.prior_from=null"), "", Models("g", "c"))
    )
    other = adaptive(models, first, Path("/o"), "sweep.priors=[{kind:make,prior:[0.5,0.75]}]")
    assert difference(told, settings_of(other, "", Models("g", "c"))) == [
        "sweep.priors was None, is [{'kind': 'make', 'prior': [0.5, 0.75]}]"
    ]


def test_scores_of_another_clip_are_refused(models: tuple[Path, Path], first: Path, tmp_path: Path):
    changed = tmp_path / "clip"
    changed.mkdir()
    for file in models[1].iterdir():
        (changed / file.name).write_bytes(file.read_bytes())
    (changed / "more.txt").write_text("another")
    with pytest.raises(ConfigError, match="scored by another CLIP"):
        learnt(adaptive((models[0], changed), first, tmp_path / "out"))


@pytest.mark.parametrize("prior", ["[0.5]", "[0.5,1.5]"])
def test_invalid_priors_are_named(prior: str):
    with pytest.raises(ConfigError, match=r"sweep\.priors: make's"):
        resolve.checked(
            resolve.compose(
                [
                    "sweep=adaptive",
                    "sweep.taus=[0,1]",
                    "sweep.prior=[0.5,0.5]",
                    f"sweep.priors=[{{kind:make,prior:{prior}}}]",
                ]
            )
        )
