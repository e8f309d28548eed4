from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.cli.main import main
from pipeline.dataset.pack import pack
from stages.storage.commits import read_commits
from tests.docs.snippets import snippet
from tests.pipeline.outputs import commit, planned


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a run ``out`` of six samples and its export ``set``, as the current folder."""
    store, plan = planned(tmp_path / "out", 2)
    commit(store, [3, 3])
    pack(store, list(read_commits(store, range(plan.units))), 10)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    assert main(["export", "out", "to=set"]) == 0
    return tmp_path


def run(name: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(compile(snippet("train.md", name), name, "exec"), names)
    return names


def test_the_webdataset_loader_loads_batches(folder: Path):
    names = run("webdataset")
    assert names["inputs"].shape == names["targets"].shape == (4, 3, 8, 8)
    assert 0.5 < names["inputs"].max() <= 1
    assert names["inputs"].min() >= 0
    assert not torch.equal(names["inputs"], names["targets"])
    assert list(names["instructions"]) == ["make it blue"] * 4


def test_the_datasets_loader_loads_batches(folder: Path):
    batch = run("datasets")["batch"]
    assert batch["input"].shape == batch["edited"].shape == (4, 3, 8, 8)
    assert batch["input"].dtype == torch.float32
    assert -1 <= batch["input"].min() < -0.5 < 0.5 < batch["input"].max() <= 1
    assert not torch.equal(batch["input"], batch["edited"])
    assert batch["edit"] == ["make it blue"] * 4
