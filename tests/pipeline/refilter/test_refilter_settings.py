from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipeline.cli.main import main
from tests.pipeline.refilter.made import BASE


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["filter.clip_sim_dir=0.3"], "out2 has no value: give out2=…"),
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
        (["out2=NEW", "duplicates=-1"], "duplicates=-1 must be from 0 to 192"),
        (["out2=NEW", "duplicates=3", "generate=true"], "first refilter with generate=true"),
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


def test_all_images_are_not_stored_of_a_scoring_decoder(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    given = ["keep=all-images", "model.scoring_decoder=owner/taesd", f"out={tmp_path / 'out'}"]
    assert main([*BASE, *given]) == 2
    assert "keep=kept" in capsys.readouterr().err
