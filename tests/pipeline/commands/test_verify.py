from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from pipeline.cli.main import main
from pipeline.dataset.pack import MANIFEST, pack
from stages.storage import plan_files
from stages.storage.commits import commit_name, read_commits
from stages.storage.heartbeat import keep_heartbeat
from stages.storage.store import Store, seal, unseal
from tests.pipeline.outputs import commit, planned
from tests.stages.unit_results import unit_result


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Three units committed and packed."""
    store, plan = planned(tmp_path, 3)
    commit(store, [1, 2, 0])
    pack(store, list(read_commits(store, range(plan.units))), 2)
    return tmp_path


def verify(capsys: pytest.CaptureFixture[str], out: Path) -> tuple[int, str]:
    code = main(["verify", str(out)])
    return code, capsys.readouterr().out


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def test_a_whole_output_is_told_so(out: Path, capsys):
    code, said = verify(capsys, out)
    assert code == 0
    assert "3 of 3 units" in said
    assert "2 shards with 3 samples" in said


@pytest.mark.parametrize(
    "name",
    ["data/train-000001.tar", "scores/candidates-000000.parquet", "run/plan/units-000000-*.jsonl"],
)
def test_one_bit_or_a_lost_file_is_named(out: Path, capsys, name: str):
    (file,) = out.glob(name)
    name = str(file.relative_to(out))
    flip(out / name)
    code, said = verify(capsys, out)
    assert (code, said.splitlines()[0].partition(":")[0]) == (1, name)
    (out / name).unlink()
    assert f"{name}: is missing" in verify(capsys, out)[1]


def test_a_damaged_commit_and_part_are_named(out: Path, capsys):
    flip(out / "run/commits/00000000.json")
    flip(next((out / "run/parts").glob("00000001-*.samples.tar")))
    code, said = verify(capsys, out)
    assert code == 1
    assert [line.partition(":")[0] for line in said.splitlines()] == ["unit 0", "unit 1", "2 damaged"]


@pytest.mark.parametrize(
    ("member", "new", "said"),
    [
        (b"\x89PNG", b"\x89PNX", "does not decode"),
        (b'"seed": 1000', b'"seed": null', "seed is None, not int"),
        (b'"cfg_scale": 5.0', b'"cfg_scale": 555', "cfg_scale is 555, not float"),
        (b'"self_gain"', b'"self_pain"', "self_gain is missing"),
        (b'"dtype": "auto"', b'"dtype": 123456', "dtype is 123456, not str"),
        (b".edit_prompt.txt", b".edit_prompt.txx", "has the members"),
    ],
)
def test_a_sample_that_was_packed_wrong_is_named(out: Path, capsys, member: bytes, new: bytes, said: str):
    """What a digest cannot tell: it was taken of what was wrong already."""
    name = "data/train-000000.tar"
    data = _mended((out / name).read_bytes().replace(member, new, 1))
    (out / name).write_bytes(data)
    manifest = unseal((out / MANIFEST).read_text(), MANIFEST)
    manifest["files"][0]["sha256"] = hashlib.sha256(data).hexdigest()
    (out / MANIFEST).write_text(seal(manifest))
    code, told = verify(capsys, out)
    assert code == 1
    assert said in told
    assert name in told


def test_a_damaged_packing_record_is_named_and_repaired(out: Path, capsys):
    before = {path.name: path.read_bytes() for path in (out / "data").iterdir()}
    flip(out / MANIFEST)
    code, told = verify(capsys, out)
    assert code == 1
    assert MANIFEST in told
    assert main(["repair", str(out)]) == 0
    capsys.readouterr()
    assert verify(capsys, out)[0] == 0
    assert {path.name: path.read_bytes() for path in (out / "data").iterdir()} == before


def test_a_plan_that_is_not_what_was_written_is_refused(out: Path, capsys):
    name = "run/plan/plan.json"
    text = (out / name).read_text()
    for damaged in (text[:40], text.replace('"pairs": ', '"pairs": 1')):
        (out / name).write_text(damaged)
        for command in ("verify", "status", "repair", "report"):
            assert main([command, str(out)]) == 2
            said = capsys.readouterr().err
            assert f"{name} is not what was written" in said


def test_repair_packs_a_damaged_shard_again_from_the_parts(out: Path, capsys):
    shards = [out / "data/train-000000.tar", out / "data/train-000001.tar"]
    before = [shard.read_bytes() for shard in shards]
    flip(shards[0])
    shards[1].unlink()
    assert main(["repair", str(out)]) == 0
    assert [shard.read_bytes() for shard in shards] == before
    assert verify(capsys, out)[0] == 0


def test_repair_refuses_a_damaged_plan_by_its_file(out: Path, capsys):
    (file,) = (out / "run/plan").glob("units-000000-*.jsonl")
    flip(file)
    assert main(["repair", str(out)]) == 2
    assert file.name in capsys.readouterr().err


def test_a_damaged_commit_stops_the_command_by_name(out: Path, capsys):
    flip(out / "run/commits/00000001.json")
    assert main(["status", str(out)]) == 2
    said = capsys.readouterr().err
    assert "00000001.json" in said
    assert "repair" in said


def _mended(tar: bytes) -> bytes:
    """With the checksums of the headers made good: a member's name may have been changed."""
    data, at = bytearray(tar), 0
    while data[at : at + 100].strip(b"\0"):
        header = data[at : at + 512]
        header[148:156] = b" " * 8
        data[at + 148 : at + 156] = b"%06o\0 " % sum(header)
        at += 512 + -(-int(data[at + 124 : at + 135], 8) // 512) * 512
    return bytes(data)


def test_a_lost_record_of_the_packing_is_named_and_packed_again(out: Path, capsys):
    before = (out / MANIFEST).read_bytes()
    (out / MANIFEST).unlink()
    code, said = verify(capsys, out)
    assert code == 1
    assert said.startswith(f"{MANIFEST}: is missing")
    assert f"pairforge repair {out}" in said
    assert main(["repair", str(out)]) == 0
    assert (out / MANIFEST).read_bytes() == before
    capsys.readouterr()
    assert verify(capsys, out)[0] == 0


def test_a_lost_or_foreign_commit_is_named_after_packing(out: Path, capsys):
    commit_file = out / "run/commits/00000002.json"
    record = unseal(commit_file.read_text(), "")
    commit_file.unlink()
    code, said = verify(capsys, out)
    assert code == 1
    assert f"{MANIFEST}: is of other commits than those that are there (1 units" in said
    record["part"] = {
        "samples": unseal((out / "run/commits/00000000.json").read_text(), "")["part"]["samples"]
    }
    commit_file.write_text(seal(record))
    code, said = verify(capsys, out)
    assert (code, said.splitlines()[0].partition(" (")[0]) == (
        1,
        f"{MANIFEST}: is of other commits than those that are there",
    )


def test_runs_that_go_on_or_are_not_finished_are_not_damaged(tmp_path: Path, capsys):
    store, _ = planned(tmp_path, 3)
    commit(store, [1, 2])
    code, said = verify(capsys, tmp_path)
    assert (code, "2 of 3 units" in said) == (0, True)
    with keep_heartbeat(store, lambda: 0.0):
        commit(store, [1, 2, 0])
        assert verify(capsys, tmp_path)[0] == 0
        pack(store, list(read_commits(store, range(3))), 2)
        store.remove(commit_name(1))
        assert verify(capsys, tmp_path)[0] == 0
    assert verify(capsys, tmp_path)[0] == 1


def test_what_an_extension_added_need_not_be_packed_yet(out: Path, capsys):
    store = Store(str(out))
    _, files = plan_files.write_units(store, [unit_result(3, 1).unit, unit_result(4, 1).unit], "more")
    about = {"pairs": 5, "quarantined": 0, "captions": "", "source": ""}
    plan_files.add_extension(store, 1, plan_files.Extension(3, 2, tuple(files), about))
    code, said = verify(capsys, out)
    assert (code, "3 of 5 units" in said) == (0, True)
    commit(store, [1, 2, 0, 1])
    assert verify(capsys, out)[0] == 0
    store.remove(commit_name(1))
    assert verify(capsys, out)[0] == 1
    commit(store, [1, 2, 0, 1, 1])
    assert verify(capsys, out)[0] == 1


def test_a_packed_run_may_lose_its_parts(out: Path, capsys):
    shutil.rmtree(out / "run/parts")
    code, said = verify(capsys, out)
    assert (code, "run/parts deleted" in said) == (0, True)
    flip(out / "data/train-000000.tar")
    assert verify(capsys, out)[0] == 1
