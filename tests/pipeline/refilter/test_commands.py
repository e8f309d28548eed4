"""What other commands make of an output that was chosen again, and what ``refilter`` refuses."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest
from PIL import Image

from pipeline.cli.main import main
from stages.formats import tar
from tests.pipeline.refilter.made import BASE, LOOSE, generated, refilter, shards


@pytest.fixture(scope="module")
def again(kept: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Chosen again where images are missing, so that others stand in."""
    out = tmp_path_factory.mktemp("again") / "out"
    refilter(kept, "filter.clip_sim_image=0.6", f"out2={out}")
    return out


def keys(out: Path) -> list[str]:
    return [key for shard in shards(out).values() for key, _ in tar.read_samples(shard)]


def test_every_command_takes_it(again: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    samples = len(keys(again))
    assert main(["verify", str(again)]) == 0
    assert (
        f"2 of 2 units committed, {len(shards(again))} shards with {samples} samples"
        in capsys.readouterr().out
    )
    assert main(["status", str(again)]) == 0
    assert "complete" in capsys.readouterr().out
    assert main(["tune", str(again)]) == 0
    assert "*0.60" in capsys.readouterr().out
    (again / "report/index.html").unlink()
    assert main(["report", str(again)]) == 0
    assert (again / "report/index.html").stat().st_size > 10_000
    assert main(["export", str(again), f"to={tmp_path / 'set'}"]) == 0
    assert f"{samples} samples" in capsys.readouterr().out
    assert Image.open(io.BytesIO((again / "contact-sheet.png").read_bytes())).width > 100
    assert "data/*.tar" in (again / "README.md").read_text()


@pytest.mark.long
def test_every_sample_is_made_again_to_the_last_bit(again: Path, capsys: pytest.CaptureFixture[str]):
    for key in keys(again):
        assert main(["replay", str(again), key]) == 0
        said = capsys.readouterr().out
        assert "no difference" in said
        assert "not what it was made with" not in said


def test_what_it_wrote_can_be_chosen_from_in_turn(all_images: Path, tmp_path: Path):
    refilter(all_images, *LOOSE, f"out2={tmp_path / 'loose'}")
    refilter(all_images, f"out2={tmp_path / 'tight'}")
    refilter(tmp_path / "tight", *LOOSE, f"out2={tmp_path / 'loose again'}")
    assert shards(tmp_path / "loose again") == shards(tmp_path / "loose") != shards(all_images)


def test_damaged_units_of_it_are_chosen_again_not_generated(
    kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "again"
    refilter(kept, "filter.clip_sim_dir=0.6", f"out2={out}")
    whole = shards(out)
    next((out / "run/parts").glob("00000001-*.samples.tar")).write_bytes(b"")
    assert main(["verify", str(out)]) == 1
    assert main(["repair", str(out)]) == 2
    assert "1 units" in capsys.readouterr().err
    refilter(kept, "filter.clip_sim_dir=0.6", f"out2={out}")
    assert main(["verify", str(out)]) == 0
    assert shards(out) == whole


def test_a_run_does_not_go_on_with_it(again: Path, capsys: pytest.CaptureFixture[str]):
    assert main([*BASE, *LOOSE, "filter.clip_sim_image=0.6", f"out={again}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "was made by pairforge refilter" in line


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["filter.clip_sim_dir=0.3"], "give out2=…"),
        (["out2=OUT"], "is the output that is read"),
        (
            ["out2=NEW", "filter.clip_sim_dri=0.3"],
            "unknown key 'filter.clip_sim_dri' (did you mean filter.clip_sim_dir",
        ),
        (
            ["out2=NEW", "sampler.steps=3"],
            "sampler.steps needs generation: give it to a run with another out=…",
        ),
        (["out2=NEW", "filter.name=ViT-B-32"], "filter.name needs generation"),
        (["out2=NEW", "filter=ultraedit"], "give its thresholds one by one"),
        (["out2=NEW", "filter.clip_sim_dir=high"], "filter.clip_sim_dir: Value 'high'"),
        (["out2=NEW", "filter.max_per_pair=0"], "filter.max_per_pair=0 must be 1 or more"),
        (["out2=NEW", "filter.measures=[{kind:beauty}]"], "measure 'beauty' is unknown; there are dino"),
        (["out2=NEW", "duplicates=-1"], "duplicates=-1 must be 0 or more"),
        (["out2=NEW", "duplicates=3", "generate=true"], "give generate=true first"),
        (["out2=NEW", "tighter"], "'tighter' is no setting"),
    ],
)
def test_what_cannot_be_is_one_line(
    kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], given: list[str], told: str
):
    places = {"OUT": str(kept), "NEW": str(tmp_path / "new")}
    arguments = [
        one.replace("=OUT", f"={places['OUT']}").replace("=NEW", f"={places['NEW']}") for one in given
    ]
    assert main(["refilter", str(kept), *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line
    assert not (tmp_path / "new" / "run" / "plan").exists()


def test_an_output_that_is_none_or_not_complete_is_told(
    kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["refilter", str(tmp_path / "nothing"), f"out2={tmp_path / 'new'}"]) == 2
    assert "is not the output of a run" in capsys.readouterr().err
    assert main(["refilter"]) == 2
    assert "pairforge refilter OUT out2=DIR" in capsys.readouterr().err
    out = shutil.copytree(kept, tmp_path / "out")
    (out / "run/commits/00000001.json").unlink()
    assert main(["refilter", str(out), f"out2={tmp_path / 'new'}"]) == 2
    assert "is not complete (1 of 2 units)" in capsys.readouterr().err


def test_a_place_with_another_choice_is_left_as_it_is(
    kept: Path, all_images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "again"
    refilter(kept, "filter.clip_sim_dir=0.6", f"out2={out}")
    before = shards(out)
    for command in (
        [str(kept), "filter.clip_sim_dir=0.61"],
        [str(kept), "filter.clip_sim_dir=0.6", "duplicates=3"],
        [str(all_images), "filter.clip_sim_dir=0.6"],
    ):
        capsys.readouterr()
        assert main(["refilter", *command, f"out2={out}"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "holds something else" in line
    assert shards(out) == before


def test_all_images_are_not_stored_of_a_scoring_decoder(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    given = ["keep=all-images", "model.scoring_decoder=owner/taesd", f"out={tmp_path / 'out'}"]
    assert main([*BASE, *given]) == 2
    assert "keep=kept" in capsys.readouterr().err


def test_a_run_is_not_ended_without_what_it_was_begun_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    generated(tmp_path / "out", *LOOSE, "limit=1", "keep=all-images")
    assert main([*BASE, *LOOSE, "limit=1", f"out={tmp_path / 'out'}"]) == 2
    assert "keep was 'all-images'" in capsys.readouterr().err
