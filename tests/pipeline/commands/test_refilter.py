from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.cli.main import main
from tests.pipeline.refilter.made import LOOSE, generated, shards, table


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("refilter") / "out"
    generated(folder, *LOOSE, "limit=2")
    return folder


def kept(out: Path) -> set[tuple[str, int, float]]:
    rows = table(out).to_pylist()
    return {(row["pair_id"], row["seed"], row["p2p_threshold"]) for row in rows if row["kept"]}


def test_a_stricter_choice_keeps_the_best_of_each_pair(out: Path, tmp_path: Path):
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    target = tmp_path / "strict"
    assert main(["refilter", str(out), f"out2={target}", "filter.max_per_pair=1"]) == 0
    assert kept(target) < kept(out)
    pairs = [pair for pair, _, _ in kept(target)]
    assert sorted(pairs) == sorted({pair for pair, _, _ in kept(out)})
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert main(["verify", str(target)]) == 0


def test_the_same_command_twice_writes_the_same_shards(out: Path, tmp_path: Path):
    command = ["refilter", str(out), f"out2={tmp_path / 'again'}", "filter.clip_sim_dir=0.5"]
    assert main(command) == 0
    first = shards(tmp_path / "again")
    assert main(command) == 0
    assert shards(tmp_path / "again") == first


@pytest.mark.parametrize(
    ("setting", "said"),
    [("sampler.steps=9", "sampler.steps needs generation"), ("filter.clip_sim_dri=0.5", "clip_sim_dir")],
)
def test_what_it_cannot_choose_by_is_one_line(out: Path, tmp_path: Path, capsys, setting: str, said: str):
    assert main(["refilter", str(out), f"out2={tmp_path / 'again'}", setting]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert not (tmp_path / "again").exists()
