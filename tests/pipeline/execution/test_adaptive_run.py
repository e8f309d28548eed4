"""The sweep that adapts, as a setting of a run and in what a run leaves behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from conf.config_errors import ConfigError
from conf.sweeps import AdaptiveSweep
from pipeline.cli.main import main
from pipeline.config import resolve, saved
from pipeline.dataset.card import card
from pipeline.dataset.funnel import Funnel, funnel_of
from pipeline.dataset.pack import pack
from pipeline.planning.plan import make_or_resume
from pipeline.planning.run_fingerprint import Models, difference, settings_of
from pipeline.tasks.task import task_of
from stages import write
from stages.formats import tar
from stages.generate import Generate
from stages.storage import plan_files
from stages.storage.commits import read_commits
from stages.storage.store import Store
from tests import runs

ADAPTIVE = ("sweep=adaptive", "sweep.seeds=3", "sweep.taus=[0.5,1.0]", "sweep.prior=[0.5,0.5]")


@pytest.mark.parametrize(
    "setting",
    [
        "sweep.seeds=0",
        "sweep.taus=[]",
        "sweep.taus=[0.5,1.5]",
        "sweep.taus=[0.5,0.5]",
        "sweep.prior=[0.5]",
        "sweep.prior=[0.5,2.0]",
        "sweep.prior_seeds=0",
        "sweep.taus_per_seed=0",
        "sweep.apart=-0.1",
        "sweep.reach=0",
        "sweep.aim=-1",
        "sweep.aim_seeds=0",
        "sweep.patience=0",
        "sweep.lack=-0.1",
        "sweep.bisections=-1",
        "sweep.bracket=0",
    ],
)
def test_a_value_that_cannot_be_is_named_in_one_line(setting: str):
    with pytest.raises(ConfigError, match=setting.partition("=")[0]) as error:
        resolve.checked(resolve.compose([*ADAPTIVE, setting]))
    assert "\n" not in str(error.value)


def test_what_has_no_tau_is_refused():
    with pytest.raises(ConfigError, match=r"edit\.method=same_seed .* sweep=grid"):
        resolve.checked(resolve.compose(["sweep=adaptive", "edit.method=same_seed"]))


def test_the_option_is_whole():
    assert isinstance(resolve.checked(resolve.compose(["sweep=adaptive"])).sweep, AdaptiveSweep)


def test_the_prior_is_of_what_a_plan_holds_a_run_to():
    models = Models("g", "c")
    one, other = (
        settings_of(runs.config(Path("/m"), Path("/c"), *ADAPTIVE, f"sweep.prior={prior}"), "", models)
        for prior in ([0.5, 0.5], [0.5, 0.6])
    )
    assert difference(one, other) == ["sweep.prior was [0.5, 0.5], is [0.5, 0.6]"]


def test_the_card_tells_it():
    text = card(runs.config(Path("/m"), Path("/c"), *ADAPTIVE), Funnel(), False)
    assert "up to 3 seeds, each at up to 2 of tau 0.5, 1.0" in text


def test_a_run_that_adapts_is_counted_read_again_and_replayed(
    sd1_folder: Path, clip_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    path = runs.write_pairs(tmp_path / "pairs.jsonl")
    more = ("captions=jsonl", f"captions.path={path}", f"out={tmp_path / 'out'}", "filter.max_per_pair=2")
    config = resolve.checked(
        resolve.compose(runs.settings(sd1_folder, clip_folder, *ADAPTIVE, "sweep.aim=0", *more))
    )
    store = Store(config.out)
    plan = make_or_resume(store, task_of(config))
    saved.write(store, config)
    assert saved.read(store).sweep == config.sweep
    stage = Generate(config, plan.model_fingerprint)
    for unit in plan_files.read_units(store, plan.units):
        result = stage(unit)
        files = write.encode_part(result, config.shards.format, config.shards.quality)
        write.write_unit(store, files, write.summarise(result))
    commits = list(read_commits(store, range(plan.units)))
    counts = funnel_of(plan, commits)
    # Everything passes: each pair stops at its second seed.
    assert (counts.pairs, counts.samples) == (5, 10)
    assert counts.candidates == counts.samples + sum(counts.rejected.values())
    assert counts.rows == stage.editor.usage.rows
    (shard, *_) = pack(store, commits, 100)
    keys = [key for key, _ in tar.read_samples(store.read(shard.name))]
    assert main(["replay", str(tmp_path / "out"), keys[3]]) == 0
    assert "no difference" in capsys.readouterr().out
