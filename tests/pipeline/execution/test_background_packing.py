"""Files are packed on real Ray while units are made, and are those of packing at the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from pipeline.dataset import pack as packing
from pipeline.dataset.pack import RECORDS, pack
from pipeline.execution.background_packing import packing_beside
from stages.storage.commits import Commits
from stages.storage.store import Store
from tests import s3
from tests.pipeline import outputs

KEPT = [2, 0, 3, 1, 4, 2]
pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with s3.served() as url:
        yield url


@pytest.fixture(scope="module", autouse=True)
def on_ray(bucket: str) -> Iterator[None]:
    """Ray's workers get the address and the key of the bucket as they start."""
    ray.init("local", num_cpus=1, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def records(store: Store) -> list[str]:
    return [name.removeprefix(f"{RECORDS}/") for name in store.list(RECORDS)]


def test_files_are_packed_while_units_are_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "SCORES_RECORDS", 1)
    monkeypatch.setattr(packing, "SCORES_GROUP", 4)
    store, plan = outputs.planned(tmp_path / "beside", len(KEPT))
    outputs.commit(store, KEPT)
    with packing_beside(store, 3, [3, 0]) as beside:
        # Unit 4 comes before 1 and 2, and unit 5 not at all while files are packed.
        for unit in (4, 2, 1):
            beside.note(unit)
    # Of the first five units: 10 samples are three full shards, 16 candidates three full files of scores.
    names = [*(f"candidates-{k:06d}.parquet" for k in range(3)), *(f"train-{k:06d}.tar" for k in range(3))]
    assert records(store) == [f"{name}.json" for name in names]
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "beside/data").iterdir()}
    files = pack(store, Commits(store, range(plan.units)), 3)
    assert {path: path.stat().st_mtime_ns for path in written} == written
    alone, _ = outputs.planned(tmp_path / "alone", len(KEPT))
    outputs.commit(alone, KEPT)
    assert files == pack(alone, Commits(alone, range(plan.units)), 3)
    assert all(store.read(file.name) == alone.read(file.name) for file in files)


def test_files_in_a_bucket_are_those_of_a_folder(bucket: str, tmp_path: Path) -> None:
    far, plan = outputs.planned(f"{bucket}/beside", len(KEPT))
    near, _ = outputs.planned(tmp_path, len(KEPT))
    for store in (far, near):
        outputs.commit(store, KEPT)
    with packing_beside(far, 3, range(len(KEPT))):
        pass
    # Four full shards of 12 samples; the end of the run packs the scores.
    assert records(far) == [f"train-{k:06d}.tar.json" for k in range(4)]
    assert not near.exists("data")
    packed = [pack(store, Commits(store, range(plan.units)), 3) for store in (far, near)]
    assert packed[0] == packed[1]
    assert all(far.read(file.name) == near.read(file.name) for file in packed[0])


def test_a_lost_part_is_told_by_packing_not_here(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store, _ = outputs.planned(tmp_path, 2)
    outputs.commit(store, [3, 3])
    for name in store.list("run/parts"):
        store.remove(name)
    with packing_beside(store, 3, [0, 1]):
        pass
    assert "is missing" in capsys.readouterr().err
    assert store.list("data") == []
