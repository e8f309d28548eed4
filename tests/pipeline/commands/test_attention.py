from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.cli.main import main
from pipeline.report import heatmap
from tests.pipeline.cli.test_main import refused

PROMPT = "a red ball on grass"


@pytest.fixture
def small(sd1_folder: Path, clip_folder: Path) -> list[str]:
    model = ["model=path", f"model.path={sd1_folder}", "sampler.steps=4", "sampler.guidance=3.0"]
    return [*model, f"filter.name=local-dir:{clip_folder}"]


def test_the_command_writes_a_picture(
    small: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    assert main(["attention", PROMPT, *small, "groups=2", "out=made/seen.png", "seed=3"]) == 0
    assert capsys.readouterr().out == "made/seen.png\n"
    picture = np.asarray(Image.open("made/seen.png").convert("RGB"))
    step = heatmap.PICTURE + heatmap.GAP
    height, width = picture.shape[:2]
    assert (width - 2 * heatmap.MARGIN - heatmap.LABEL + heatmap.GAP) // step == 1 + len(PROMPT.split())
    top = height - heatmap.MARGIN - 3 * step + heatmap.GAP
    left = heatmap.MARGIN + heatmap.LABEL
    maps = [
        picture[top + row * step :, left + column * step :][: heatmap.PICTURE, : heatmap.PICTURE]
        for row in range(3)
        for column in range(1, 6)
    ]
    assert all(one.std() > 0 for one in maps), "every word has a map in every row"
    assert len({one.tobytes() for one in maps}) == 15


def test_a_long_prompt_is_cut_on_request(small: list[str], tmp_path: Path):
    path, prompt = tmp_path / "a.png", " ".join([PROMPT] * 20)
    assert (
        main(["attention", prompt, *small, f"out={path}", "sampler.steps=1", "edit.too_long=truncate"]) == 0
    )
    assert path.exists()


def test_the_picture_depends_on_the_seed(small: list[str], tmp_path: Path):
    def made(name: str, seed: int) -> bytes:
        path = tmp_path / name
        assert main(["attention", PROMPT, *small, f"out={path}", f"seed={seed}"]) == 0
        return path.read_bytes()

    assert made("a.png", 1) == made("b.png", 1) != made("c.png", 2)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "pairforge attention PROMPT"),
        (["--groups"], "pairforge attention PROMPT"),
        ([" "], "the prompt is empty"),
        ([PROMPT, "groups=0"], "groups=0 must be from 1 to 12"),
        ([PROMPT, "groups=many"], "groups=many"),
        ([PROMPT, "sampler.steps=3", "groups=4"], "groups=4 must be from 1 to 3"),
        ([PROMPT, "out=seen.jpg"], "seen.jpg is not a PNG"),
        ([PROMPT, "out=s3://bucket/seen.png"], "not a PNG on this machine"),
        ([PROMPT, "model.path=/no/such"], "/no/such"),
        ([" ".join([PROMPT] * 20)], "cut it with edit.too_long=truncate"),
    ],
)
def test_what_cannot_be_is_named(
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.chdir(tmp_path)
    assert said in refused(capsys, "attention", *arguments)
    assert list(tmp_path.iterdir()) == []


def test_heat_is_brightest_where_attention_is_greatest():
    image = np.full((8, 8, 3), 128, dtype=np.uint8)
    share = np.zeros((8, 8), dtype=np.float32)
    share[2, 5], share[4, 4] = 0.02, 0.01
    shown = heatmap.overlay(image, share).astype(int).sum(-1)
    assert shown.argmax() == 2 * 8 + 5
    assert shown[2, 5] > shown[4, 4] > shown[0, 0]


def test_the_image_shows_through_and_no_attention_is_dark():
    image = np.zeros((4, 4, 3), dtype=np.uint8)
    image[:2] = 255
    shown = heatmap.overlay(image, np.zeros((4, 4), dtype=np.float32)).astype(int).sum(-1)
    assert shown[:2].min() > shown[2:].max()


def test_a_picture_that_cannot_lie_there_is_one_line(small: list[str], tmp_path: Path, capsys):
    (tmp_path / "file").write_text("")
    below = tmp_path / "file/deeper/seen.png"
    assert "which is a file" in refused(capsys, "attention", PROMPT, *small, f"out={below}")
    (tmp_path / "seen.png").mkdir()
    line = refused(capsys, "attention", PROMPT, *small, "sampler.steps=1", f"out={tmp_path / 'seen.png'}")
    assert f"{tmp_path / 'seen.png'} is a folder" in line
