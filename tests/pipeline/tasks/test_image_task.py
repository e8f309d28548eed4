from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import pytest
import torch

import p2p
from conf.compose import compose_config, to_object
from conf.config_errors import ConfigError
from conf.running import ClusterKind
from conf.schema import Config
from pipeline.dataset.contact_sheet import SHEET
from pipeline.dataset.funnel import Funnel
from pipeline.planning.plan import Plan
from pipeline.tasks.image_task import ImageTask
from stages.generate import Generate
from stages.records import CaptionPair
from stages.storage.commits import read_commits
from stages.storage.plan_files import create_manifest, cut, write_units
from stages.storage.store import Store
from tests import models, runs
from tests.stages.unit_results import unit_result


@pytest.fixture
def config(sd1_folder: Path, clip_folder: Path, tmp_path: Path) -> Config:
    path = runs.write_pairs(tmp_path / "pairs.jsonl", runs.PAIRS[:3])
    more = ("captions=jsonl", f"captions.path={path}", f"out={tmp_path / 'out'}", "sheet.attention=0")
    return runs.config(sd1_folder, clip_folder, *more)


def finish(config: Config, plan: Plan) -> Funnel:
    store = Store(config.out)
    return ImageTask(config).finish(plan, store, list(read_commits(store, range(plan.units))))


def test_finishing_writes_the_dataset_and_its_documents(config: Config) -> None:
    plan, store = runs.committed(config, Generate), Store(config.out)
    funnel = finish(config, plan)
    assert (funnel.pairs, funnel.candidates) == (3, 3 * 2 * 3)
    assert funnel.samples > 0
    assert store.exists("scores/candidates-000000.parquet")
    assert SHEET in store.read("README.md").decode()

    # Without the parts, the pictures stay.
    names = (SHEET, "report/index.html", "README.md", "data/train-000000.tar")
    before = {name: store.read(name) for name in names}
    shutil.rmtree(Path(config.out) / "run/parts")
    finish(config, plan)
    assert {name: store.read(name) for name in names} == before
    assert not ImageTask(config).write_report(store)


def test_captions_of_another_world_are_named(tmp_path: Path) -> None:
    world, other = runs.PAIRS[0], CaptionPair("a castle in fog", "make it a fox", "a fox on grass")
    store, pairs = Store(str(tmp_path)), [world, other]
    count, files = write_units(store, cut(pairs, 2))
    assert create_manifest(store, {"files": files})
    plan = Plan(count, 2, 0, {}, tuple(files))

    def advice(*settings: str) -> str:
        return ImageTask(
            to_object(compose_config((f"out={tmp_path}", *settings), "/nowhere/{}".format))
        ).advice(store, plan)

    line = advice()
    assert "1 of the first 2 caption pairs" in line
    assert "(castle, fog, fox, …)" in line
    assert advice("model=sd15", "model.path=m") == ""


def test_the_summary_says_why_nothing_is_there(config: Config, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    ImageTask(config).tell(Funnel(read=2, pairs=2, failed=1, candidates=4), None)
    shown = capsys.readouterr().out
    assert "The dataset is in" not in shown
    assert "run/parts was deleted" in shown
    assert "1 caption pairs failed" in shown
    assert "Nothing was kept: out/scores/*.parquet shows" in shown
    ImageTask(config).tell(Funnel(read=2, pairs=2, samples=1, rescored=2, shifts={"clip_sim_0": 0.5}), 3.2)
    shown = capsys.readouterr().out
    assert "The dataset is in out: data/*.tar" in shown
    assert "First sample kept after 3 s" in shown
    assert "Score shift of the scoring decoder, mean absolute: clip_sim_0 0.2500" in shown
    assert "Nothing was kept" not in shown


def test_a_missing_model_is_refused_before_planning(config: Config, tmp_path: Path) -> None:
    ImageTask(config).check()
    config.model.path = str(tmp_path / "nowhere")
    with pytest.raises(p2p.ModelError):
        ImageTask(config).check()


def test_the_task_reads_the_pairs_and_knows_their_file(config: Config) -> None:
    task = ImageTask(config)
    pairs = [item for item in task.read() if isinstance(item, CaptionPair)]
    assert [(pair.input, pair.output) for pair in pairs] == [(p.input, p.output) for p in runs.PAIRS[:3]]
    digest = task.source_digest()
    runs.write_pairs(Path(config.captions.path), runs.PAIRS[:2])
    assert task.source_digest() != digest


def test_the_encoder_reaches_a_worker(config: Config) -> None:
    encode, result = ImageTask(config).encode, unit_result(0, 1)
    assert pickle.loads(pickle.dumps(encode))(result) == encode(result)


@pytest.mark.skipif(torch.cuda.is_available(), reason="for machines without a GPU")
def test_a_gpu_that_is_not_there_is_refused_first(config: Config) -> None:
    config.model.device = "cuda:0"
    with pytest.raises(ConfigError, match=r"model\.device=cuda:0: PyTorch finds no GPU on this machine"):
        ImageTask(config).identify()
    config.cluster.kind = ClusterKind.ray
    ImageTask(config).identify()


def test_a_preset_of_another_family_is_refused(sd1_folder: Path, clip_folder: Path):
    config = runs.config(sd1_folder, clip_folder, "model.name=sdxl")
    with pytest.raises(
        ConfigError, match=r"model=sdxl is for models of the family sdxl, and .* is of sd: give"
    ):
        ImageTask(config).identify()


def test_a_sampler_for_other_models_is_refused_first(sd1_folder: Path, clip_folder: Path):
    config = runs.config(sd1_folder, clip_folder, "sampler.name=flow_match_euler")
    with pytest.raises(p2p.P2PError, match="does not fit a model that predicts"):
        ImageTask(config).check()


def test_an_option_that_the_model_lacks_is_refused_first(sd1_folder: Path, clip_folder: Path, tmp_path: Path):
    flux = models.save_flux(tmp_path / "flux")
    for model, setting, reason in (
        (flux, "sampler.negative_prompt=dark", "negative_prompt does not work with a model that embeds"),
        (flux, "sampler.guidance_interval=[0.1,5]", "guidance_interval does not work"),
        (flux, "edit.self_max_size=0.4", "self_max_size = 0.4 leaves no layer .* must be 0.5 or more"),
        (sd1_folder, "edit.self_max_size=0.4", "self_max_size = 0.4 leaves no layer .* must be 0.5 or more"),
    ):
        sampler = "sampler.name=flow_match_euler" if model == flux else "sampler.name=ddim"
        with pytest.raises(p2p.P2PError, match=reason):
            ImageTask(runs.config(model, clip_folder, sampler, setting)).check()
