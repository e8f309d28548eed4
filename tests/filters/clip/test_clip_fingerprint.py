from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import filters
from tests.clips import build_clip


def local(folder: Path) -> str:
    return filters.fingerprint(f"local-dir:{folder}")


def test_the_fingerprint_depends_on_the_files_not_the_place(clip_folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(clip_folder, tmp_path / "elsewhere"))
    (copy / "README.md").write_text("where it is from")
    assert local(copy) == local(clip_folder)
    assert local(build_clip(tmp_path / "other", seed=1)) != local(clip_folder)


@pytest.mark.parametrize("name", ["open_clip_model.safetensors", "tokenizer_config.json", "tokenizer.json"])
def test_a_changed_byte_of_any_file_changes_the_fingerprint(
    clip_folder: Path, tmp_path: Path, name: str
) -> None:
    copy = Path(shutil.copytree(clip_folder, tmp_path / "copy"))
    with (copy / name).open("r+b") as stream:
        last = stream.read()[-1:]
        stream.seek(-1, 2)
        stream.write(bytes([last[0] ^ 1]))
    assert local(copy) != local(clip_folder)


def test_another_configuration_changes_the_fingerprint(clip_folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(clip_folder, tmp_path / "copy"))
    config = copy / "open_clip_config.json"
    config.write_text(config.read_text().replace("shortest", "squash"))
    assert local(copy) != local(clip_folder)


def test_published_weights_are_identified_by_model_and_tag() -> None:
    tags = [filters.fingerprint(*which) for which in (("ViT-L-14", "openai"), ("ViT-B-16", "openai"))]
    tags.append(filters.fingerprint("ViT-B-16", "laion2b_s34b_b88k"))
    assert len(set(tags)) == 3
    assert filters.fingerprint("ViT-L-14", "openai") == tags[0]


def test_a_weights_file_is_identified_by_its_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    first.write_bytes(b"one")
    second.write_bytes(b"one")
    assert filters.fingerprint("ViT-L-14", str(first)) == filters.fingerprint("ViT-L-14", str(second))
    second.write_bytes(b"two")
    assert filters.fingerprint("ViT-L-14", str(first)) != filters.fingerprint("ViT-L-14", str(second))
