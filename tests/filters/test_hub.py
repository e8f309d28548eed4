from __future__ import annotations

import time
from pathlib import Path

import pytest
from huggingface_hub import constants

from filters import hub


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def keep(cache: Path, repository: str, file: str) -> None:
    """Put a file into the cache as the hub's client does."""
    folder = cache / f"models--{repository.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True, exist_ok=True)
    (folder / "refs/main").write_text("0")
    path = folder / "snapshots/0" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def test_a_name_of_the_hub_is_told_from_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert hub.is_hub_name("owner/name-1.5")
    for other in ("name", "/owner/name", "a/b/c", "./owner/name", "owner/na me", ""):
        assert not hub.is_hub_name(other)
    monkeypatch.chdir(tmp_path)
    Path("owner/name").mkdir(parents=True)
    assert not hub.is_hub_name("owner/name")


def test_files_are_found_in_the_cache(cache: Path):
    assert not hub.is_cached("owner/name", ["config.json"])
    assert not hub.holds_weights()
    keep(cache, "owner/name", "config.json")
    assert hub.is_cached("owner/name", ["model_index.json", "config.json"])
    assert not hub.is_cached("owner/name", ["config.json"], "another-revision")
    assert not hub.holds_weights()
    keep(cache, "owner/name", "open_clip_model.safetensors")
    assert hub.holds_weights()


def test_a_hub_that_does_not_answer_is_found_soon(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    # Packets to this address go nowhere: it is for documentation.
    for endpoint in ("http://127.0.0.1:9", "http://192.0.2.1"):
        monkeypatch.setattr(constants, "ENDPOINT", endpoint)
        began = time.monotonic()
        assert not hub.hub_answers()
        assert time.monotonic() - began < 2 * hub.SECONDS_TO_ANSWER


def test_the_hub_is_turned_off_here_and_in_later_processes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    hub.use_cache_alone()
    assert constants.is_offline_mode()
