from __future__ import annotations

import hashlib
import os
import random
import tarfile
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conf.schema import ImageFormat
from pipeline.cli.main import main
from pipeline.dataset.pack import digest_of, digests_of, pack, plan_files
from stages import write
from stages.formats import tar
from stages.storage.commits import read_commit, read_commits
from stages.storage.store import DamageError, Store
from tests.pipeline.outputs import planned
from tests.stages.unit_results import unit_result


def committed(store: Store, kept: list[int], order: list[int] | None = None) -> list[dict]:
    """Commits of one unit for each number of samples kept, made in any order."""
    for index in order or range(len(kept)):
        result = unit_result(index, kept[index])
        write.write_unit(store, write.encode_part(result, ImageFormat.png), write.summarise(result))
    return [read_commit(store, index) for index in range(len(kept))]


def keys(path: Path) -> list[str]:
    with tarfile.open(path) as tar:
        return list(dict.fromkeys(name.split(".", 1)[0] for name in tar.getnames()))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 5), max_size=8), st.integers(1, 6))
def test_shards_hold_every_sample_once_in_order_at_exact_size(
    tmp_path_factory: pytest.TempPathFactory, kept: list[int], size: int
):
    folder = tmp_path_factory.mktemp("out")
    packed = pack(Store(str(folder)), committed(Store(str(folder)), kept), size)
    shards = sorted((folder / "data").glob("*")) if sum(kept) else []
    assert [shard.name for shard in shards] == [f"train-{k:06d}.tar" for k in range(-(-sum(kept) // size))]
    wanted = [s.key for index, count in enumerate(kept) for s in unit_result(index, count).samples]
    assert [key for shard in shards for key in keys(shard)] == wanted
    assert all(len(keys(shard)) == size for shard in shards[:-1])
    assert [file.rows for file in packed if file.name.startswith("data")] == [len(keys(s)) for s in shards]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 5), max_size=6), st.integers(1, 6))
def test_a_shard_is_the_tar_of_its_members(
    tmp_path_factory: pytest.TempPathFactory, kept: list[int], size: int
):
    """Samples are copied as they stand in the parts; tarfile makes the same bytes of their members."""
    store = Store(str(tmp_path_factory.mktemp("out")))
    samples = [s for index, count in enumerate(kept) for s in unit_result(index, count).samples]
    for number, file in enumerate(f for f in pack(store, committed(store, kept), size) if "data/" in f.name):
        own = samples[number * size : (number + 1) * size]
        members = [tar.encode_sample(sample, ImageFormat.png) for sample in own]
        assert store.read(file.name) == tar.write_samples(members)


def test_the_order_of_writing_does_not_change_the_bytes(tmp_path: Path):
    kept = [2, 0, 3, 1, 4]
    digests = set()
    for number in range(3):
        store = Store(str(tmp_path / str(number)))
        order = random.Random(number).sample(range(5), 5)
        digests.add(tuple((file.name, file.sha256) for file in pack(store, committed(store, kept, order), 3)))
        for file in pack(store, committed(store, kept), 3):
            data = store.read(file.name)
            assert (hashlib.sha256(data).hexdigest(), len(data)) == (file.sha256, file.bytes)
    assert len(digests) == 1


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 5), max_size=8), st.integers(1, 6), st.data())
def test_a_file_is_planned_as_soon_as_its_units_are_there(kept: list[int], size: int, data: st.DataObject):
    """What is planned of the first commits stays so with all of them, but for the last file of each kind."""
    commits = [
        {
            "unit": unit,
            "candidates": 3,
            "part": {"scores": {"name": "s", "sha256": str(unit), "bytes": 9}}
            | (
                {"samples": {"name": "t", "sha256": f"t{unit}", "ends": list(range(1, count + 1))}}
                if count
                else {}
            ),
        }
        for unit, count in enumerate(kept)
    ]
    first = data.draw(st.integers(0, len(kept)))
    early, whole = list(plan_files(iter(commits[:first]), size)), list(plan_files(commits, size))
    full = [
        plan for plan in early if sum(piece.rows for piece in plan.pieces) == size and plan.kind == "samples"
    ]
    assert full == [plan for plan in whole if plan.kind == "samples"][: len(full)]
    assert sum(len(plan.pieces) for plan in whole if plan.kind == "scores") == len(kept)
    assert sum(piece.rows for plan in whole if plan.kind == "samples" for piece in plan.pieces) == sum(kept)


def test_the_digest_of_each_prefix_is_that_of_its_commits():
    commits = [{"part": {"samples": {"name": "t", "sha256": str(unit)}}} for unit in range(5)]
    wanted = [digest_of(commits[:end]) for end in (0, 3, 5)]
    assert digests_of(iter(commits), [0, 3, 5]) == wanted
    assert len(set(wanted)) == 3


def test_packing_again_writes_nothing(tmp_path: Path):
    store = Store(str(tmp_path))
    commits = committed(store, [2, 2])
    first = pack(store, commits, 3)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert pack(store, commits, 3) == first
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == times


def test_a_lost_or_short_shard_is_made_again(tmp_path: Path):
    store = Store(str(tmp_path))
    commits = committed(store, [2, 2])
    pack(store, commits, 3)
    before = (tmp_path / "data/train-000000.tar").read_bytes()
    os.truncate(tmp_path / "data/train-000000.tar", 100)
    (tmp_path / "data/train-000001.tar").unlink()
    pack(store, commits, 3)
    assert (tmp_path / "data/train-000000.tar").read_bytes() == before
    assert len(keys(tmp_path / "data/train-000001.tar")) == 1


def test_what_a_killed_packer_left_is_cleared(tmp_path: Path):
    store = Store(str(tmp_path))
    (tmp_path / "data").mkdir()
    (tmp_path / "data/.train-000000.tar.00.tmp").write_bytes(b"half")
    pack(store, committed(store, [1]), 3)
    assert os.listdir(tmp_path / "data") == ["train-000000.tar"]


def test_scores_of_all_units_are_one_table_in_plan_order(tmp_path: Path):
    store = Store(str(tmp_path))
    pack(store, committed(store, [1, 0, 2]), 10)
    rows = pq.read_table(tmp_path / "scores/candidates-000000.parquet").to_pylist()
    assert [row["input_prompt"] for row in rows] == [f"a red ball {u}" for u in (0, 0, 0, 1, 1, 2, 2, 2, 2)]
    assert sum(row["kept"] for row in rows) == 3


def test_a_damaged_part_spoils_no_shard(tmp_path: Path):
    store = Store(str(tmp_path))
    commits = committed(store, [1, 1])
    store.write(commits[1]["part"]["samples"]["name"], b"")
    with pytest.raises(DamageError):
        pack(store, commits, 3)
    assert store.list("data") == []


def test_measures_are_columns_of_the_packed_scores(tmp_path: Path, capsys):
    store, plan = planned(tmp_path, 2)
    for index in range(2):
        result = unit_result(index, 1)
        measured = tuple(
            replace(c, measures={"ssim": 0.25 * (k + 1)}) for k, c in enumerate(result.candidates)
        )
        made = replace(result, candidates=measured)
        write.write_unit(store, write.encode_part(made, ImageFormat.png), write.summarise(made))
    pack(store, list(read_commits(store, range(plan.units))), 2)
    packed = pq.read_table(tmp_path / "scores")
    assert packed["ssim"].to_pylist() == [0.25, 0.5, 0.75] * 2
    assert main(["verify", str(tmp_path)]) == 0
    assert "is whole" in capsys.readouterr().out
