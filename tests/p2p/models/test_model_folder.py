"""Folders of models, found without the network, and the errors of those that are none."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

import p2p
from p2p.models.model_folder import local_folder, pipeline_class


def refuse_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a folder's model went to the network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


def error_of(model: str | Path) -> str:
    """The one line with which both the model and its tokenizer alone are refused."""
    messages = []
    for load in (p2p.load, p2p.load_tokenizer):
        with pytest.raises(p2p.ModelError) as caught:
            load(model)
        messages.append(str(caught.value))
    assert "\n" not in messages[0]
    assert messages[0] == messages[1]
    return messages[0]


@pytest.mark.parametrize("whole", [False, True])
def test_a_folder_is_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: bool) -> None:
    refuse_network(monkeypatch)
    assert local_folder(str(tmp_path), revision="main", whole=whole) == tmp_path


@pytest.mark.parametrize("whole", [False, True])
def test_a_hub_s_model_is_downloaded_whole_or_in_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    asked: list[tuple[str, Any]] = []

    def download(name: str, revision: str | None, **options: Any) -> str:
        asked.append((name, revision))
        assert options.get("use_safetensors", True)
        patterns = options.get("allow_patterns", [])
        assert not any("safetensors" in pattern for pattern in patterns), "no weights for a tokenizer"
        return str(tmp_path)

    monkeypatch.setattr(
        "diffusers.DiffusionPipeline.download" if whole else "huggingface_hub.snapshot_download",
        download,
    )
    assert local_folder("owner/name", "v1", whole) == tmp_path
    assert asked == [("owner/name", "v1")]


def test_the_pipeline_class_is_that_of_the_index(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "FluxPipeline"}))
    assert pipeline_class(tmp_path) == "FluxPipeline"


@pytest.mark.parametrize("name", ["no/such/folder", "nowhere", "./nowhere", "/no/such", "a b/c"])
def test_no_such_folder(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_network(monkeypatch)
    assert error_of(name) == f"{name}: no such folder; give a diffusers folder, or owner/name of the hub"


def test_a_hub_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError("no\nroute")

    monkeypatch.setattr("diffusers.DiffusionPipeline.download", fail)
    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    assert error_of("owner/name").endswith("not available from the hub: no route")


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    assert "not a diffusers folder: it has no model_index.json" in error_of(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '{"unet": 1}'])
def test_a_damaged_index(tmp_path: Path, text: str) -> None:
    (tmp_path / "model_index.json").write_text(text)
    assert "model_index.json: damaged: it names no pipeline class" in error_of(tmp_path)


def test_a_checkpoint_is_not_a_folder(tmp_path: Path) -> None:
    checkpoint = tmp_path / "v1-5.ckpt"
    checkpoint.write_bytes(b"\x80\x04")
    assert "a file, not a diffusers folder" in error_of(checkpoint)
    assert error_of(tmp_path).startswith(f"{checkpoint}: pickled weights are never loaded")
