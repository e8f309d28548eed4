"""One sample made again by the real models, and held to what the shard has."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.cli.main import main
from pipeline.config import resolve
from stages.formats import tar
from stages.generate import Generate
from tests import models, runs


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, sd1_folder: Path, clip_folder: Path) -> Path:
    """An output of three units, made in this process, as a worker makes them."""
    folder = tmp_path_factory.mktemp("made")
    model = shutil.copytree(sd1_folder, folder / "model")
    path = runs.write_pairs(folder / "pairs.jsonl")
    given = ("captions=jsonl", f"captions.path={path}", f"out={folder / 'out'}", "shards.samples=3")
    config = resolve.checked(resolve.compose(runs.settings(model, clip_folder, *given)))
    runs.packed(config, Generate)
    return folder


@pytest.fixture
def out(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made / "out", tmp_path / "out")


def keys(out: Path) -> list[str]:
    shards = sorted((out / "data").iterdir())
    return [key for shard in shards for key, _ in tar.read_samples(shard.read_bytes())]


def test_a_sample_made_again_is_the_same_to_the_last_bit(out: Path, capsys):
    for key in (keys(out)[1], keys(out)[-1]):
        assert main(["replay", str(out), key]) == 0
        said = capsys.readouterr().out
        assert said.index("it took") < said.index("made again in")
        assert said.count("difference 0 of 255 at most, 0.0000 in the mean") == 2
        assert said.count("difference 0\n") == 4
        assert "no difference" in said
        picture = np.asarray(Image.open(out / f"replay/{key}.png"))
        height = picture.shape[0] // 3
        np.testing.assert_array_equal(picture[:height], picture[height : 2 * height])
        assert picture[:height].any()
        assert not picture[2 * height :].any()


def test_the_picture_goes_where_it_is_wanted(out: Path, tmp_path: Path):
    assert main(["replay", str(out), keys(out)[0], str(tmp_path / "both.png")]) == 0
    assert Image.open(tmp_path / "both.png").height > 0
    assert not (out / "replay").exists()


def test_another_model_is_named_and_so_is_the_difference(out: Path, made: Path, tmp_path: Path, capsys):
    other = models.save_stable_diffusion(tmp_path / "other", version=2)
    config = (out / "run/config.yaml").read_text()
    (out / "run/config.yaml").write_text(config.replace(str(made / "model"), str(other)))
    assert main(["replay", str(out), keys(out)[0]]) == 1
    said = capsys.readouterr().out
    assert "changed since the run: model.fingerprint was" in said
    assert "the samples differ" in said


@pytest.mark.parametrize("change", [lambda key: "0" + key[1:], lambda key: key[:-1] + "9"])
def test_an_unknown_key_is_told_those_like_it(out: Path, capsys, change):
    key = next(key for key in keys(out) if key[0] != "0")
    assert main(["replay", str(out), change(key)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"did you mean {key[:-3]}" in line


@pytest.mark.parametrize("arguments", [[], ["out"], ["out", "key", "png", "more"]])
def test_wrong_arguments_get_the_usage(capsys, arguments: list[str]):
    assert main(["replay", *arguments]) == 2
    assert "pairforge replay OUT KEY [PNG]" in capsys.readouterr().err


def test_a_damaged_shard_is_named(out: Path, capsys):
    key = keys(out)[0]
    shard = out / "data/train-000000.tar"
    shard.write_bytes(shard.read_bytes()[:-700])
    assert main(["replay", str(out), key]) == 2
    assert "train-000000.tar is damaged" in capsys.readouterr().err


def test_a_picture_in_a_missing_folder_is_refused_first(out: Path, tmp_path: Path, capsys):
    assert main(["replay", str(out), keys(out)[0], str(tmp_path / "none/both.png")]) == 2
    said = capsys.readouterr()
    (line,) = said.err.splitlines()
    assert str(tmp_path / "none/both.png") in line
    assert said.out == ""
