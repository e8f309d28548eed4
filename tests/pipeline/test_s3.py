"""A run into S3, on real Ray, broken off and gone on with: the bytes of a local run, and no secret among them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from s3fs import S3FileSystem

from pipeline.cli import main
from stages.store import Store
from tests import runs, s3

ROOT = Path(__file__).parents[2]
TOKEN = "hf_secret4d81e0"
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with s3.served() as url:
        yield url


def generate(folder: Path, settings: list[str], *more: str) -> str:
    made = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", *settings, *more, "cluster.workers=1", "shards.samples=3"],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "RAY_worker_niceness": "0",
            "HF_TOKEN": TOKEN,
        },
        text=True,
        capture_output=True,
        timeout=500,
    )
    assert made.returncode == 0, made.stderr
    return made.stdout + made.stderr


def contents(store: Store, *folders: str) -> dict[str, bytes]:
    return {name: store.read(name) for folder in folders for name in store.list(folder)}


def test_a_run_into_s3_has_the_bytes_of_a_local_one_and_no_secrets(
    bucket: str, sd1_folder: Path, clip_folder: Path, tmp_path: Path
) -> None:
    pairs = runs.write_pairs(tmp_path / "pairs.jsonl")
    settings = [*runs.settings(sd1_folder, clip_folder), "captions=jsonl", f"captions.path={pairs}"]
    said = generate(tmp_path, settings, f"out={bucket}/set")
    store, local = Store(f"{bucket}/set"), Store(str(tmp_path / "out"))
    before = contents(store, "data", "scores")
    assert len(before) >= 3

    # Lost: a unit's commit, a shard and the record of the packing.
    for name in (store.list("run/commits")[0], store.list("data")[0], "run/pack.json"):
        store.remove(name)
    said += generate(tmp_path, settings, f"out={bucket}/set")
    assert contents(store, "data", "scores") == before
    assert main(["verify", f"{bucket}/set"]) == 0
    assert main(["status", f"{bucket}/set"]) == 0

    generate(tmp_path, settings, "out=out")
    assert contents(local, "data", "scores") == before

    remote = S3FileSystem()
    everything = {name: remote.cat_file(name) for name in remote.find(f"{bucket}/set")} | {
        "said": said.encode()
    }
    assert len(everything) > 10
    for path in (tmp_path / "out").rglob("*"):
        if path.is_file():
            everything[str(path)] = path.read_bytes()
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
