"""Files of a CLIP, found and checked without the network and before anything large is read."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest
from open_clip import pretrained

import filters
from filters import FilterError
from filters.clip.clip_source import ClipSource, check_hub, find_clip


@pytest.fixture
def copied(clip_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(clip_folder, tmp_path / "clip"))


def error_of(name: str, pretrained: str | None = None) -> str:
    with pytest.raises(FilterError) as raised:
        find_clip(name, pretrained)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_folder_is_found_with_its_weights(copied: Path) -> None:
    name, weights = f"local-dir:{copied}", copied / "open_clip_model.safetensors"
    assert find_clip(name, "openai") == ClipSource(name, copied, weights, {})
    other = weights.rename(copied / "open_clip_pytorch_model.safetensors")
    assert find_clip(name, None).weights == other


def test_a_published_tag_names_weights_on_the_hub() -> None:
    source = find_clip("ViT-L-14", "openai")
    assert (source.name, source.folder, source.weights) == ("ViT-L-14", None, None)
    assert source.tag["hf_hub"]
    assert source.tag["quick_gelu"]


def test_a_file_takes_the_place_of_a_tag(tmp_path: Path) -> None:
    weights = tmp_path / "mine.safetensors"
    weights.write_bytes(b"")
    assert find_clip("ViT-L-14", str(weights)) == ClipSource("ViT-L-14", None, weights, {})
    pickled = weights.rename(tmp_path / "mine.pt")
    assert error_of("ViT-L-14", str(pickled)).startswith(f"{pickled} may be a pickle, which is never loaded")


def test_a_tag_that_is_a_pickle_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(pretrained._PRETRAINED, "ViT-L-14", {"old": {"url": "https://example.org/w.pt"}})
    message = "ViT-L-14's 'old' is published as a pickle only: choose another tag"
    assert error_of("ViT-L-14", "old") == message


def test_a_folder_without_its_parts(copied: Path) -> None:
    name, config = f"local-dir:{copied}", copied / "open_clip_config.json"
    (copied / "open_clip_model.safetensors").unlink()
    assert error_of(name) == f"{copied} has no open_clip_model.safetensors: the weights are missing"
    (copied / "open_clip_pytorch_model.bin").write_bytes(b"")
    assert "has open_clip_pytorch_model.bin, which may be a pickle, but no open_clip_model" in error_of(name)
    content = json.loads(config.read_text())
    content["model_cfg"]["text_cfg"]["hf_model_name"] = "somebody/encoder"
    config.write_text(json.dumps(content))
    assert "has a text encoder that the hub would define (somebody/encoder)" in error_of(name)
    for text, message in (("[]", "has no model_cfg"), ("{}", "has no model_cfg"), ("{", "is not JSON")):
        config.write_text(text)
        assert message in error_of(name)
    config.unlink()
    assert error_of(name) == f"{copied} has no open_clip_config.json: it is not an open_clip model"
    shutil.rmtree(copied)
    assert error_of(name).startswith(f"{copied}: no such folder; local-dir:PATH names a folder")


@pytest.mark.parametrize(
    ("name", "weights", "message"),
    [
        ("VIT-L14", "openai", r"no CLIP is called 'VIT-L14' \(did you mean ViT-L-14"),
        ("quite-another", "openai", "no CLIP is called 'quite-another'.*local-dir:PATH"),
        ("ViT-L-14", None, "ViT-L-14 needs pretrained: .* one of openai, "),
        ("ViT-L-14", "opnai", r"ViT-L-14 has no weights 'opnai' \(did you mean openai\?\)"),
        (
            "ViT-L-14",
            "/nowhere/weights.safetensors",
            "no weights '/nowhere/weights.safetensors': it is no file",
        ),
        ("local-dir:/nowhere", None, "/nowhere: no such folder"),
    ],
)
def test_an_unknown_name_or_tag_is_an_error_with_suggestions(
    name: str, weights: str | None, message: str
) -> None:
    for function in (filters.load_clip, filters.fingerprint):
        with pytest.raises(FilterError, match=message) as raised:
            function(name, weights)
        assert "\n" not in str(raised.value)


def test_weights_that_are_nowhere_are_refused_fast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    began = time.monotonic()
    with pytest.raises(FilterError, match=r"filter\.name=local-dir:FOLDER"):
        check_hub("ViT-L-14", "openai")
    assert time.monotonic() - began < 20  # with the import of open_clip
    revision = tmp_path / "models--timm--vit_large_patch14_clip_224.openai" / "snapshots" / "0"
    revision.mkdir(parents=True)
    (revision / "open_clip_model.safetensors").touch()
    (revision.parents[1] / "refs").mkdir()
    (revision.parents[1] / "refs/main").write_text("0")
    check_hub("ViT-L-14", "openai")
    assert os.environ["HF_HUB_OFFLINE"] == "1"
