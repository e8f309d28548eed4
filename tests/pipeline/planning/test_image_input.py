"""Plans of caption pairs with images."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from conf.compose import compose_config, to_object
from p2p.errors import P2PError
from pipeline.planning.plan import PlanError, load, make_or_resume
from pipeline.tasks.image_task import ImageTask
from stages.storage.plan_files import read_unit
from stages.storage.store import Store
from tests import runs
from tests.pictures import write_picture_pairs


@pytest.fixture
def task(tmp_path: Path, sd1_folder: Path, clip_folder: Path) -> ImageTask:
    write_picture_pairs(tmp_path, 5)
    settings = runs.settings(
        sd1_folder, clip_folder, f"captions.path={tmp_path / 'pairs.jsonl'}", f"out={tmp_path / 'out'}"
    )
    return ImageTask(to_object(compose_config(settings, "/nowhere/{}".format)))


def test_a_plan_with_images_says_so_to_the_workers(task: ImageTask) -> None:
    store = Store(task.config.out)
    plan = make_or_resume(store, task)
    assert plan.images
    assert load(store).images
    unit = read_unit(store, 0)
    assert unit.images
    assert [pair.image_place for pair in unit.pairs] == ["photos/0.png", "photos/1.png"]
    assert make_or_resume(store, task) == plan


def test_a_plan_without_images_has_no_word_of_them(task: ImageTask, tmp_path: Path) -> None:
    runs.write_pairs(tmp_path / "pairs.jsonl")
    store = Store(task.config.out)
    assert not make_or_resume(store, task).images
    assert b'"images"' not in store.read("run/plan/plan.json")
    assert not read_unit(store, 0).images


def test_a_run_without_images_is_not_extended_with_some(task: ImageTask, tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    pictured = file.read_text()
    plain = runs.write_pairs(file).read_text()
    make_or_resume(Store(task.config.out), task)
    file.write_text(plain + pictured)
    extending = ImageTask(replace(task.config, extend=True))
    with pytest.raises(PlanError, match=r"images was none, is some"):
        make_or_resume(Store(task.config.out), extending)


def test_a_changed_image_is_named_where_the_input_is_read(task: ImageTask, tmp_path: Path) -> None:
    store = Store(task.config.out)
    make_or_resume(store, task)
    file, photos = tmp_path / "pairs.jsonl", tmp_path / "photos"
    (photos / "3.png").write_bytes((photos / "0.png").read_bytes())
    lines = file.read_text()
    file.write_text(lines + json.dumps({"input": "x", "edit": "y", "output": "z"}) + "\n")
    with pytest.raises(PlanError) as raised:
        make_or_resume(store, task)
    assert "holds a run with other settings" in str(raised.value)
    assert any("caption pair 4" in str(row) for row in [raised.value, *raised.value.table])


def test_images_that_moved_are_the_same_input(task: ImageTask, tmp_path: Path) -> None:
    store = Store(task.config.out)
    plan = make_or_resume(store, task)
    (tmp_path / "moved").mkdir()
    for name in ("pairs.jsonl", "photos"):
        (tmp_path / name).rename(tmp_path / "moved" / name)
    moved = replace(task.config.captions, path=str(tmp_path / "moved" / "pairs.jsonl"))
    assert make_or_resume(store, ImageTask(replace(task.config, captions=moved))) == plan


def test_a_sampler_that_draws_noise_is_refused_at_once(task: ImageTask, tmp_path: Path) -> None:
    drawing = ImageTask(replace(task.config, sampler=replace(task.config.sampler, name="euler_ancestral")))
    store = Store(task.config.out)
    with pytest.raises(P2PError, match="draws noise, so an image has no inversion"):
        make_or_resume(store, drawing)
    assert not store.exists("run/plan/plan.json")
    runs.write_pairs(tmp_path / "pairs.jsonl")
    assert make_or_resume(store, drawing).pairs == len(runs.PAIRS)


def test_a_setting_of_images_without_any_is_told(task: ImageTask, tmp_path: Path) -> None:
    store = Store(task.config.out)
    settled = replace(task.config, filter=replace(task.config.filter, reconstruction_psnr=20.0))
    plan = make_or_resume(store, ImageTask(settled))
    assert ImageTask(settled).advice(store, plan) == ""
    assert ImageTask(settled).advice(store, replace(plan, images=False)) == (
        "filter.reconstruction_psnr has no effect: no caption pair has an image"
    )


def test_a_picture_too_small_for_the_model_is_set_aside(task: ImageTask) -> None:
    strict = replace(task.config.captions, image_upscale=1.0)
    small = ImageTask(replace(task.config, captions=strict))
    reasons = [item.reason for item in small.read() if hasattr(item, "reason")]
    assert len(reasons) == 1
    assert "too few for the model's" in reasons[0]
