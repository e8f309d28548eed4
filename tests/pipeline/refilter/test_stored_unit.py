from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from conf.schema import Config, Keep
from pipeline.refilter import stored_unit
from stages import write
from stages.records import Preview, Rejected, UnitResult
from stages.storage.store import DamageError, Store
from tests import runs
from tests.pipeline.outputs import planned
from tests.stages.unit_parts import pixels
from tests.stages.unit_results import unit_result


@pytest.fixture
def result() -> UnitResult:
    """A unit of two kept and two rejected candidates, each of a sample of its own, with a preview."""
    made = unit_result(0, kept=2, previews=1)
    rejected = tuple(
        Rejected(f"{c.pair_id}-{c.sample_index:03d}", pixels(c.seed), {0: pixels(c.seed + 1)})
        for c in made.candidates
        if not c.kept
    )
    missed = [candidate for candidate in made.candidates if not candidate.kept]
    thumbnails = tuple(Preview(made.unit.pairs[0], b"source", (b"edit",), (c,)) for c in missed)
    return replace(made, rejected=rejected, thumbnails=thumbnails)


@pytest.fixture
def config() -> Config:
    return replace(runs.config(Path("/no/model"), Path("/no/clip")), keep=Keep["all-images"])


@pytest.fixture
def store(tmp_path: Path, result: UnitResult, config: Config) -> Store:
    store, _ = planned(tmp_path, 1)
    write.write_unit(store, write.encode_part(result, config.shards.format), write.summarise(result))
    return store


def test_a_unit_under_its_old_verdicts_has_its_old_bytes(store: Store, result: UnitResult, config: Config):
    stored = stored_unit.read(store, 0)
    assert (stored.unit, stored.candidates) == (result.unit, result.candidates)
    assert (stored.previews, stored.thumbnails) == (result.previews, result.thumbnails)
    assert sorted(stored.images) == [0, 1, 2, 3]
    files = stored_unit.encode(stored, stored.candidates, config, "f")
    assert files == write.encode_part(result, config.shards.format)
    old = {name: value for name, value in stored.commit.items() if name != "part"}
    assert stored_unit.record(stored, stored.candidates, []) == {**old, "missing": []}


def test_a_candidate_that_is_kept_now_moves_to_the_samples(store: Store, config: Config):
    stored = stored_unit.read(store, 0)
    again = [
        replace(c, kept=not c.kept, reason="" if not c.kept else "clip_sim_0") for c in stored.candidates
    ]
    record = stored_unit.record(stored, again, again[:1])
    write.write_unit(
        target := Store(store.path("again")), stored_unit.encode(stored, again, config, "f"), record
    )
    # Its plan is that of the first output.
    for name in store.list("run/plan"):
        target.write(name, store.read(name))
    read = stored_unit.read(target, 0)
    assert (read.candidates, read.images) == (tuple(again), stored.images)
    assert read.previews[0].candidates == tuple(again[:1])
    assert [thumbnail.candidates for thumbnail in read.thumbnails] == [(again[2],), (again[3],)]
    assert (record["samples"], record["rejected"]) == (2, {"clip_sim_0": 2})
    assert [missing["key"] for missing in record["missing"]] == [f"{again[0].pair_id}-000"]


def test_rejected_images_are_left_out_unless_all_are_kept(store: Store, config: Config):
    stored = stored_unit.read(store, 0)
    files = stored_unit.encode(stored, stored.candidates, replace(config, keep=Keep.kept), "f")
    assert sorted(files) == ["previews", "samples", "scores", "thumbnails"]


def test_a_unit_without_a_commit_or_with_a_damaged_part_is_named(store: Store):
    with pytest.raises(FileNotFoundError):
        stored_unit.read(store, 1)
    store.write(stored_unit.read(store, 0).commit["part"]["rejected"]["name"], b"")
    with pytest.raises(DamageError, match="of unit 0 is damaged"):
        stored_unit.read(store, 0)
