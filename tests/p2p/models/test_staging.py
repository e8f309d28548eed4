"""One copy of a model on each machine."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

import p2p
from p2p.models.staging import stage_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "shared" / "model"
    (folder / "unet").mkdir(parents=True)
    (folder / "unet" / "weights.safetensors").write_bytes(b"w" * 1000)
    return folder


def test_many_processes_make_one_copy(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copies: list[Path] = []
    copytree = shutil.copytree

    def counted(source: Path, *rest: Any, **how: Any) -> Any:
        copies.append(Path(source))
        return copytree(source, *rest, **how)

    monkeypatch.setattr(shutil, "copytree", counted)
    found: list[Path] = []
    threads = [
        threading.Thread(target=lambda: found.append(stage_folder(folder, tmp_path / "local")))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert copies.count(folder) == 1
    assert len(set(found)) == 1
    assert (found[0] / "unet" / "weights.safetensors").read_bytes() == b"w" * 1000


def test_a_changed_model_is_copied_again(folder: Path, tmp_path: Path) -> None:
    first = stage_folder(folder, tmp_path / "local")
    (folder / "unet" / "weights.safetensors").write_bytes(b"v" * 999)
    second = stage_folder(folder, tmp_path / "local")
    assert first != second
    assert (second / "unet" / "weights.safetensors").read_bytes() == b"v" * 999


def test_a_folder_that_takes_no_files_is_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(p2p.ModelError, match=r"model.staging=.*file.*: the model cannot be copied"):
        stage_folder(folder, tmp_path / "file" / "local")


def test_a_model_is_loaded_from_its_copy(sd1_folder: Path, tmp_path: Path) -> None:
    editor = p2p.load(sd1_folder, device="cpu", staging=tmp_path / "local")
    (copy,) = (path for path in (tmp_path / "local").iterdir() if path.is_dir())
    assert copy.name.startswith(sd1_folder.name)
    assert editor.sweep("a red ball", "a blue ball", steps=1).edits.shape[0] == len(p2p.SweepRequest.taus)
