"""Choosing again, held to runs that chose so from the start."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from pipeline.cli.main import main
from stages.formats import tar
from tests.pipeline.refilter.made import (
    BASE,
    LOOSE,
    TIGHT,
    commits,
    generated,
    refilter,
    shards,
    table,
    thresholds,
)

OTHERS = {
    "looser": LOOSE,
    "some looser, some tighter": thresholds(0.68, 0.3, 0.5, 0.8),
    "one sample a pair": (*LOOSE, "filter.max_per_pair=1"),
    "nothing": thresholds(0.99, 0.3, 0.2, 0.5),
    "another measure": (*LOOSE, "filter.measures=[{kind:changed_area,most:0.3}]"),
    "no near duplicates": (*LOOSE, "filter.near_duplicate=60"),
    "other shards": (*TIGHT, "shards.samples=2"),
}


def parts(out: Path) -> list[dict[str, str]]:
    """The digests of every unit's files, but those of pictures of the contact sheet and the report."""
    pictures = ("previews", "thumbnails")
    return [
        {kind: file["sha256"] for kind, file in commit["part"].items() if kind not in pictures}
        for commit in commits(out)
    ]


AT_LENGTH = ("one sample a pair", "nothing", "some looser, some tighter")


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(given, id=name, marks=[pytest.mark.long] if name in AT_LENGTH else [])
        for name, given in OTHERS.items()
    ],
)
def test_refiltering_all_images_equals_a_fresh_run(all_images: Path, tmp_path: Path, given: tuple[str, ...]):
    generated(tmp_path / "fresh", *given, "keep=all-images")
    refilter(all_images, *given, f"out2={tmp_path / 'again'}")
    assert shards(tmp_path / "again") == shards(tmp_path / "fresh")
    assert shards(tmp_path / "again") != shards(all_images)
    assert parts(tmp_path / "again") == parts(tmp_path / "fresh")
    assert table(tmp_path / "again").equals(table(tmp_path / "fresh"))
    assert not any(commit["missing"] for commit in commits(tmp_path / "again"))


@pytest.mark.parametrize("source", ["all_images", "kept"])
def test_with_unchanged_settings_nothing_changes(source: str, request: pytest.FixtureRequest, tmp_path: Path):
    out = request.getfixturevalue(source)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    refilter(out, f"out2={tmp_path / 'again'}")
    assert shards(tmp_path / "again") == shards(out)
    assert table(tmp_path / "again").equals(table(out))
    assert parts(tmp_path / "again") == parts(out)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_stricter_thresholds_need_no_other_images(kept: Path, tmp_path: Path):
    given = ("filter.clip_sim_dir=0.7", "filter.max_per_pair=1")
    generated(tmp_path / "fresh", *LOOSE, *given)
    refilter(kept, *given, f"out2={tmp_path / 'again'}")
    assert shards(tmp_path / "again") == shards(tmp_path / "fresh") != shards(kept)
    assert table(tmp_path / "again").equals(table(tmp_path / "fresh"))


def test_what_has_no_image_is_listed_and_the_next_best_stands_in(
    kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    given = "filter.clip_sim_image=0.6"
    generated(tmp_path / "fresh", *LOOSE, given)
    said = refilter(kept, given, f"out2={tmp_path / 'again'}", capsys=capsys)
    stored = {(r["pair_id"], r["seed"], r["p2p_threshold"]) for r in table(kept).to_pylist() if r["kept"]}
    fresh = {
        (r["pair_id"], r["seed"], r["p2p_threshold"])
        for r in table(tmp_path / "fresh").to_pylist()
        if r["kept"]
    }
    lines = (tmp_path / "again/run/missing.jsonl").read_text().splitlines()
    listed = {(m["pair_id"], m["seed"], m["p2p_threshold"]) for m in map(json.loads, lines)}
    assert listed == fresh - stored != set()
    assert f"{len(listed)} candidates would have been kept, but their images are not stored" in said
    assert "passed, but its image was not stored" in said
    rows = table(tmp_path / "again").to_pylist()
    again = {(r["pair_id"], r["seed"], r["p2p_threshold"]) for r in rows if r["kept"]}
    assert again <= stored
    assert fresh & stored <= again
    assert sum(r["reason"] == "no_image" for r in rows) >= len(listed)


def test_killed_anywhere_it_goes_on_and_the_bytes_are_the_same(all_images: Path, tmp_path: Path):
    command = (all_images, *LOOSE, "duplicates=20", f"out2={tmp_path / 'again'}")
    refilter(*command)
    expected = shards(tmp_path / "again")
    for lost in ("run/commits/00000000.json", "run/commits/00000001.json", "run/pack.json", "data"):
        path = tmp_path / "again" / lost
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        refilter(*command)
        assert shards(tmp_path / "again") == expected


def test_duplicates_across_pairs_stay_with_the_first(
    all_images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    refilter(all_images, "duplicates=0", f"out2={tmp_path / 'none'}")
    assert shards(tmp_path / "none") == shards(all_images)
    # In 192 bits any two are near: of a later pair nothing is kept.
    said = refilter(all_images, "duplicates=192", f"out2={tmp_path / 'first'}", capsys=capsys)
    rows = table(tmp_path / "first").to_pylist()
    before = table(all_images).to_pylist()
    first = next(r["pair_id"] for r in before if r["kept"])
    assert [r for r in rows if r["kept"]] == [r for r in before if r["kept"] and r["pair_id"] == first]
    assert {r["reason"] for r in rows if r["pair_id"] != first} >= {"near_duplicate"}
    assert "almost the same as one that was kept" in said


def test_a_part_s_damage_is_named_with_the_output_it_lies_in(
    all_images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = shutil.copytree(all_images, tmp_path / "out")
    next((out / "run/parts").glob("*.rejected.tar")).write_bytes(b"cut off")
    assert main(["refilter", str(out), f"out2={tmp_path / 'again'}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"pairforge repair {out}" in line


@pytest.mark.long
@pytest.mark.timeout(300)
def test_units_that_lack_an_image_can_be_made_again(kept: Path, tmp_path: Path):
    given = "filter.clip_sim_image=0.6"
    generated(tmp_path / "fresh", *LOOSE, given)
    refilter(kept, given, "generate=true", f"out2={tmp_path / 'again'}")
    assert shards(tmp_path / "again") == shards(tmp_path / "fresh")
    assert table(tmp_path / "again").equals(table(tmp_path / "fresh"))


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
        assert "changed since the run" not in said


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


def test_a_run_is_not_ended_without_what_it_was_begun_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    generated(tmp_path / "out", *LOOSE, "limit=1", "keep=all-images")
    assert main([*BASE, *LOOSE, "limit=1", f"out={tmp_path / 'out'}"]) == 2
    assert "keep was 'all-images'" in capsys.readouterr().err
