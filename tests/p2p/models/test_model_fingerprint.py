from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import p2p
from p2p.models import model_fingerprint


def change_a_weight(folder: Path) -> None:
    path = next((folder / "unet").glob("*.safetensors"))
    data = bytearray(path.read_bytes())
    data[-7] ^= 1
    path.write_bytes(data)


def change_a_config(folder: Path) -> None:
    path = folder / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "beta_end": 0.013}))


def rename_a_file(folder: Path) -> None:
    path = next((folder / "vae").glob("*.safetensors"))
    path.rename(path.with_stem("other"))


@pytest.mark.parametrize("change", [change_a_weight, change_a_config, rename_a_file])
def test_changes_with_the_model(sd1_folder: Path, tmp_path: Path, change: Callable[[Path], None]) -> None:
    copy = Path(shutil.copytree(sd1_folder, tmp_path / "copy"))
    assert p2p.fingerprint(copy) == p2p.fingerprint(str(sd1_folder))
    change(copy)
    assert p2p.fingerprint(copy) != p2p.fingerprint(sd1_folder)


def test_times_and_other_files_do_not_count(sd1_folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(sd1_folder, tmp_path / "copy"))
    for path in copy.rglob("*"):
        os.utime(path, (1, 1))
    (copy / "README.md").write_text("about")
    (copy / ".cache").mkdir()
    (copy / ".cache" / "note.json").write_text("{}")
    assert p2p.fingerprint(copy) == p2p.fingerprint(sd1_folder)


@pytest.mark.parametrize("at", [0, 3000, -1])
def test_large_files_count_by_size_and_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    monkeypatch.setattr(model_fingerprint, "_WHOLE", 1000)
    monkeypatch.setattr(model_fingerprint, "_SAMPLE", 100)
    data = bytearray(os.urandom(10_000))
    (tmp_path / "model.safetensors").write_bytes(data)
    before = p2p.fingerprint(tmp_path)
    assert before == p2p.fingerprint(tmp_path)
    data[at] ^= 1
    (tmp_path / "model.safetensors").write_bytes(data)
    assert p2p.fingerprint(tmp_path) != before


def test_a_model_of_the_hub_is_its_commit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    commits = iter([tmp_path / "0a", tmp_path / "0b", tmp_path / "0a"])
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: str(next(commits)))
    first, second, again = (p2p.fingerprint("owner/name") for _ in range(3))
    assert first == again != second


def test_no_such_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("no\nroute")

    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    with pytest.raises(p2p.ModelError, match=r"owner/name: no such folder, .*: no route$"):
        p2p.fingerprint("owner/name")
