"""Runs of caption pairs with images: samples, scores, bytes, faults and the commands on their outputs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conf.schema import Config
from pipeline.commands.replay import replay
from pipeline.dataset import integrity
from pipeline.dataset.contact_sheet import read_previews
from pipeline.planning.plan import load
from pipeline.refilter import refilter_run, refilter_settings
from stages.candidates.reconstruction import RECONSTRUCTION_SCORES
from stages.formats import parquet_tables, tar
from stages.generate import Generate
from stages.storage.commits import read_commits, read_part
from stages.storage.store import Store
from tests import runs
from tests.fire.fire import digests, environment
from tests.pictures import draw_picture, write_picture_pairs

PAIRS = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, sd1_folder: Path, clip_folder: Path) -> Path:
    """An output of pairs with images and one without, and its input beside it."""
    folder = tmp_path_factory.mktemp("images")
    write_picture_pairs(folder, PAIRS, plain=1)
    runs.packed(configured(folder, sd1_folder, clip_folder), Generate)
    return folder


def configured(folder: Path, model: Path, clip: Path, *more: str) -> Config:
    source = ("captions=jsonl", f"captions.path={folder / 'pairs.jsonl'}", f"out={folder / 'out'}")
    return runs.config(model, clip, *source, "keep=all-images", *more)


def samples(store: Store) -> dict[str, dict[str, bytes]]:
    shards = [name for name in store.list("data") if name.endswith(".tar")]
    return {key: files for name in shards for key, files in tar.read_samples(store.read(name))}


def of_pair(store: Store, number: int) -> list[tuple[dict, np.ndarray]]:
    read = [(json.loads(files["json"]), files["input_image.png"]) for files in samples(store).values()]
    caption = f"a red ball {number}"
    return [(meta, tar.decode_image(png)) for meta, png in read if meta["input_prompt"] == caption]


def test_the_input_image_of_a_sample_is_the_original(folder: Path) -> None:
    store = Store(str(folder / "out"))
    for number in range(PAIRS - 1):
        (metadata, image), *others = of_pair(store, number)
        # Another seed would make the same edits of an inverted image.
        assert not others
        assert np.array_equal(image, np.asarray(draw_picture(number)))
        assert metadata["source"] == "original"
        assert metadata["inversion"] == "direct"
        assert len(metadata["image_sha256"]) == 64
        assert metadata["reconstruction_psnr"] > 5
        assert json.loads(metadata["meta"]) == {"image": f"photos/{number}.png"}
    enlarged = of_pair(store, PAIRS - 1)[0][1]
    half = Image.fromarray(np.asarray(draw_picture(PAIRS - 1, 8, 8)))
    assert np.array_equal(enlarged, np.asarray(half.resize((16, 16), Image.Resampling.LANCZOS)))


def test_a_pair_without_an_image_has_the_same_fields(folder: Path) -> None:
    store = Store(str(folder / "out"))
    plain, pictured = of_pair(store, PAIRS)[0][0], of_pair(store, 0)[0][0]
    assert {name: type(value) for name, value in plain.items()} == {
        name: type(value) for name, value in pictured.items()
    }
    assert (plain["source"], plain["inversion"], plain["image_sha256"]) == ("generated", "", "")
    assert [plain[name] for name in RECONSTRUCTION_SCORES] == [100.0, 1.0, 1.0]
    assert len(of_pair(store, PAIRS)) == 2


def test_the_scores_have_those_of_the_reconstruction(folder: Path) -> None:
    store = Store(str(folder / "out"))
    (table,) = [parquet_tables.from_bytes(store.read(name)) for name in store.list("scores")]
    assert parquet_tables.measures_of(table.schema) == list(RECONSTRUCTION_SCORES)
    assert list(integrity.in_packed(store, load(store))) == []


def test_the_preview_shows_original_and_reconstruction(folder: Path) -> None:
    store = Store(str(folder / "out"))
    *pictured, plain = read_previews(store, read_commits(store, range(2)))
    for number, preview in enumerate(pictured[:2]):
        name, picture = preview.other
        assert name == "reconstruction"
        assert np.array_equal(tar.decode_image(preview.source), np.asarray(draw_picture(number)))
        assert not np.array_equal(tar.decode_image(picture), tar.decode_image(preview.source))
    assert plain.other is None


@pytest.mark.long
def test_a_second_run_has_the_same_bytes(
    folder: Path, tmp_path: Path, sd1_folder: Path, clip_folder: Path
) -> None:
    for name in ("pairs.jsonl", "photos"):
        (shutil.copytree if (folder / name).is_dir() else shutil.copy)(folder / name, tmp_path / name)
    runs.packed(configured(tmp_path, sd1_folder, clip_folder), Generate)
    first, second = Store(str(folder / "out")), Store(str(tmp_path / "out"))
    for kind in ("data", "scores"):
        assert first.list(kind) == second.list(kind)
        assert all(first.read(name) == second.read(name) for name in first.list(kind))


def test_a_sample_is_made_again_from_its_image(folder: Path) -> None:
    store = Store(str(folder / "out"))
    key = next(iter(samples(store)))
    assert replay(store.url, key, quiet=True, json=False) == 0


def test_refilter_knows_the_reconstructions(folder: Path, tmp_path: Path) -> None:
    store = Store(str(folder / "out"))
    scores = {
        meta["pair_id"]: meta["reconstruction_psnr"] for n in range(PAIRS) for meta, _ in of_pair(store, n)
    }
    least = sorted(scores.values())[-1]
    settings = [f"out2={tmp_path / 'strict'}", f"filter.reconstruction_psnr={least}"]
    funnel, missing = refilter_run.refilter_run(refilter_settings.read(store.url, settings))
    assert missing == 0
    chosen = Store(str(tmp_path / "strict"))
    assert load(chosen).images
    # The generated source has no reconstruction that could be bad.
    assert {json.loads(files["json"])["reconstruction_psnr"] for files in samples(chosen).values()} == {
        least,
        100.0,
    }
    assert funnel.rejected["reconstruction_psnr"] > 0
    assert list(integrity.in_packed(chosen, load(chosen))) == []


def test_the_reconstruction_may_be_the_input_image(
    tmp_path: Path, sd1_folder: Path, clip_folder: Path
) -> None:
    write_picture_pairs(tmp_path, 1)
    config = configured(
        tmp_path, sd1_folder, clip_folder, "edit.source=reconstruction", "edit.inversion=ddim"
    )
    runs.packed(config, Generate)
    store = Store(config.out)
    (preview,) = read_previews(store, read_commits(store, [0]))
    ((metadata, image),) = of_pair(store, 0)
    assert (metadata["source"], metadata["inversion"]) == ("reconstruction", "ddim")
    assert np.array_equal(image, tar.decode_image(preview.source))
    assert preview.other[0] == "original"


def test_a_changed_or_damaged_image_fails_its_pair_alone(
    tmp_path: Path, sd1_folder: Path, clip_folder: Path
) -> None:
    write_picture_pairs(tmp_path, 4)
    photos = tmp_path / "photos"
    whole = (photos / "1.png").read_bytes()
    (photos / "1.png").write_bytes(whole[: len(whole) // 2])
    config = configured(tmp_path, sd1_folder, clip_folder, "unit_pairs=4")

    class Changing(Generate):
        """A stage before whose first unit two images change."""

        def __init__(self, config: Config, fingerprint: str) -> None:
            super().__init__(config, fingerprint)
            (photos / "0.png").write_bytes(whole)
            (photos / "2.png").unlink()

    runs.committed(config, Changing)
    (commit,) = read_commits(Store(config.out), [0])
    reasons = sorted(failure["reason"] for failure in commit["failures"])
    assert [reason.partition(":")[0] for reason in reasons] == [f"image photos/{n}.png" for n in range(3)]
    assert "changed since the run was planned" in reasons[0]
    assert "cut off or damaged" in reasons[1]
    assert "no such file" in reasons[2]
    assert commit["pairs_kept"] == 1


@pytest.mark.long
def test_an_adaptive_sweep_tries_one_seed_of_an_image(
    tmp_path: Path, sd1_folder: Path, clip_folder: Path
) -> None:
    write_picture_pairs(tmp_path, 2)
    config = configured(tmp_path, sd1_folder, clip_folder, "sweep=adaptive", "filter.clip_sim_dir=1")
    runs.committed(config, Generate)
    store = Store(config.out)
    tables = [
        parquet_tables.from_bytes(read_part(store, commit, "scores")).to_pylist()
        for commit in read_commits(store, [0])
    ]
    assert {record["sample_index"] for table in tables for record in table} == {0}


@pytest.mark.long
@pytest.mark.timeout(600)
def test_killed_and_resumed_it_comes_to_the_same_bytes(
    folder: Path, tmp_path: Path, sd1_folder: Path, clip_folder: Path
) -> None:
    for name in ("pairs.jsonl", "photos"):
        (shutil.copytree if (folder / name).is_dir() else shutil.copy)(folder / name, tmp_path / name)
    source = ("captions=jsonl", f"captions.path={tmp_path / 'pairs.jsonl'}", f"out={tmp_path / 'out'}")
    settings = runs.settings(
        sd1_folder, clip_folder, *source, "keep=all-images", "unit_pairs=1", "cluster.workers=1"
    )
    command = [sys.executable, "-m", "pipeline.cli.main", *settings]
    commits = tmp_path / "out" / "run" / "commits"
    with subprocess.Popen(command, env={**os.environ, **environment()}, start_new_session=True) as running:
        while not (commits.is_dir() and list(commits.iterdir())) and running.poll() is None:
            time.sleep(0.05)
        os.killpg(running.pid, signal.SIGKILL)
    subprocess.run(command, env={**os.environ, **environment()}, check=True, timeout=400)
    whole = tmp_path / "whole"
    config = runs.config(sd1_folder, clip_folder, *source, f"out={whole}", "keep=all-images", "unit_pairs=1")
    runs.packed(config, Generate)
    # Units of one pair in either: the shape of a batch changes the last bits.
    assert digests(tmp_path / "out") == digests(whole)
