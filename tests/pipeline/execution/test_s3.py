"""A run into S3, on real Ray, broken off and gone on with: the bytes of a local one, and no secret among them."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from s3fs import S3FileSystem

from pipeline.cli.main import main
from pipeline.config import resolve
from stages.generate import Generate
from stages.storage.store import Store
from tests import runs, s3

ROOT = Path(__file__).parents[3]
TOKEN = "hf_secret4d81e0"
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with s3.served() as url:
        yield url


@pytest.fixture
def folder() -> Iterator[Path]:
    """For what processes put into temporary files, their sockets among it, whose paths may not be long."""
    with tempfile.TemporaryDirectory(prefix="s3-", ignore_cleanup_errors=True) as name:
        yield Path(name)


def generate(folder: Path, given: list[str], out: str) -> str:
    """The command, which has ``folder`` for its own and its temporary files; what it said."""
    made = subprocess.run(
        [sys.executable, "-m", "pipeline.cli.main", *given, f"out={out}"],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "RAY_worker_niceness": "0",
            "HF_TOKEN": TOKEN,
            "TMPDIR": str(folder),
            "RAY_TMPDIR": tempfile.gettempdir(),
        },
        text=True,
        capture_output=True,
        timeout=500,
    )
    assert made.returncode == 0, made.stderr
    return made.stdout + made.stderr


def contents(store: Store, *folders: str) -> dict[str, bytes]:
    return {name: store.read(name) for folder in folders for name in store.list(folder)}


def test_the_stages_write_into_s3_what_they_write_locally(
    bucket: str,
    sd1_folder: Path,
    clip_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    pairs = runs.write_pairs(tmp_path / "pairs.jsonl", runs.PAIRS[:3])
    source = ("captions=jsonl", f"captions.path={pairs}", "shards.samples=3", "sheet.attention=0")
    given = runs.settings(sd1_folder, clip_folder, *source)
    near, far = str(tmp_path / "out"), f"{bucket}/near"
    for out in (near, far):
        runs.packed(resolve.checked(resolve.compose([*given, f"out={out}"])), Generate)
    assert contents(Store(far), "data", "scores") == contents(Store(near), "data", "scores") != {}
    assert main(["verify", far]) == 0
    assert main(["status", far]) == 0
    remote = S3FileSystem()
    everything = [*map(remote.cat_file, remote.find(far)), capsys.readouterr().out.encode()]
    assert not [data for data in everything for secret in (s3.SECRET, TOKEN) if secret.encode() in data]


@pytest.mark.long
def test_a_run_into_s3_equals_a_local_one_and_holds_no_secret(
    bucket: str, sd1_folder: Path, clip_folder: Path, tmp_path: Path, folder: Path
) -> None:
    pairs = runs.write_pairs(tmp_path / "pairs.jsonl")
    source = ("captions=jsonl", f"captions.path={pairs}", "cluster.workers=1", "shards.samples=3")
    given = runs.settings(sd1_folder, clip_folder, *source)
    local = resolve.checked(resolve.compose([*given, f"out={tmp_path / 'out'}"]))
    runs.packed(local, Generate)
    expected = contents(Store(local.out), "data", "scores")
    assert len(expected) >= 3

    said, store = generate(folder, given, f"{bucket}/set"), Store(f"{bucket}/set")
    assert contents(store, "data", "scores") == expected
    # Lost: a unit's commit, a shard and the record of the packing.
    for name in (store.list("run/commits")[0], store.list("data")[0], "run/pack.json"):
        store.remove(name)
    said += generate(folder, given, f"{bucket}/set")
    assert contents(store, "data", "scores") == expected
    assert main(["verify", f"{bucket}/set"]) == 0
    assert main(["status", f"{bucket}/set"]) == 0

    remote = S3FileSystem()
    left = [path for path in folder.rglob("*") if path.is_file()]
    assert not [path for path in left if path.name == "ray.log"]
    assert store.exists("run/ray.log")
    everything = {
        "said": said.encode(),
        **{name: remote.cat_file(name) for name in remote.find(f"{bucket}/set")},
        **{str(path): path.read_bytes() for path in left},
    }
    assert len(everything) > 10
    for name, data in everything.items():
        for secret in (s3.SECRET, TOKEN):
            assert secret.encode() not in data, name


@pytest.mark.parametrize("out", ["s3://key:secret@bucket/set", "memory://set"])
def test_a_store_that_would_tell_or_lose_is_refused_by_name(
    out: str, sd1_folder: Path, clip_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = runs.write_pairs(tmp_path / "pairs.jsonl")
    source = ["captions=jsonl", f"captions.path={pairs}"]
    assert main([*runs.settings(sd1_folder, clip_folder), *source, f"out={out}"]) == 2
    said = capsys.readouterr().err
    assert "out=" in said
    assert said.count("\n") == 1
    assert "secret" not in said
