from __future__ import annotations

import json
from pathlib import Path

import pytest

from conf.schema import ImageFormat
from stages import write
from stages.formats import parquet_tables, previews, tar
from stages.storage.commits import PARTS, committed_units, read_commit, read_part
from stages.storage.store import DamageError, Store
from tests.stages.unit_results import unit_result


def commit(store: Store, result, **changes) -> bool:
    files = write.encode_part(result, ImageFormat.png)
    return write.write_unit(store, files, {**write.summarise(result), **changes})


def test_a_committed_unit_is_read_back_whole(tmp_path: Path):
    store, result = Store(str(tmp_path)), unit_result(7, kept=2, failed=1, previews=1)
    assert commit(store, result)
    assert committed_units(store) == {7}
    record = read_commit(store, 7)
    counts = {name: record[name] for name in ("unit", "pairs", "pairs_kept", "candidates", "samples", "rows")}
    assert counts == {"unit": 7, "pairs": 2, "pairs_kept": 1, "candidates": 4, "samples": 2, "rows": 10}
    assert record["rejected"] == {"clip_sim_dir": 2}
    assert record["failures"] == [{"pair_id": result.unit.pairs[1].id, "reason": "RuntimeError: no"}]
    read = list(tar.read_samples(read_part(store, record, "samples")))
    assert read == [tar.encode_sample(sample, ImageFormat.png) for sample in result.samples]
    assert previews.from_bytes(read_part(store, record, "previews")) == list(result.previews)


def test_scores_hold_every_candidate_with_its_captions(tmp_path: Path):
    store, result = Store(str(tmp_path)), unit_result(0, kept=1)
    commit(store, result)
    table = parquet_tables.from_bytes(read_part(store, read_commit(store, 0), "scores"))
    assert table.schema.equals(parquet_tables.SCORES)
    rows = table.to_pylist()
    assert [row["kept"] for row in rows] == [True, False, False]
    assert [row["reason"] for row in rows] == ["", "clip_sim_dir", "clip_sim_dir"]
    assert {row["input_prompt"] for row in rows} == {"a red ball 0"}
    assert [row["seed"] for row in rows] == [1000, 1001, 1002]
    assert {(row["p2p_threshold"], row["clip_sim_image"]) for row in rows} == {(0.5, 0.75)}


def test_the_first_commit_wins(tmp_path: Path):
    store = Store(str(tmp_path))
    assert commit(store, unit_result(0, kept=1))
    assert not commit(store, unit_result(0, kept=2))
    assert read_commit(store, 0)["samples"] == 1
    assert len(store.list(PARTS)) == 4


def test_a_unit_with_no_survivor_is_committed_too(tmp_path: Path):
    store = Store(str(tmp_path))
    assert commit(store, unit_result(0, kept=0))
    assert commit(store, unit_result(1, kept=0, rejected=0, failed=2))
    assert committed_units(store) == {0, 1}
    assert read_part(store, read_commit(store, 0), "samples") is None
    assert read_commit(store, 1)["part"] == {}


def test_a_damaged_part_is_named(tmp_path: Path):
    store = Store(str(tmp_path))
    commit(store, unit_result(3, kept=1))
    record = read_commit(store, 3)
    name = record["part"]["samples"]["name"]
    whole = store.read(name)
    assert read_part(store, record, "samples") == whole
    store.write(name, whole[:700] + bytes([whole[700] ^ 1]) + whole[701:])
    with pytest.raises(DamageError, match=name) as error:
        read_part(store, record, "samples")
    assert "unit 3" in str(error.value)
    assert "pairforge repair" in str(error.value)


def test_equal_results_make_equal_parts():
    first, second = (write.encode_part(unit_result(1, 2, previews=1), ImageFormat.png) for _ in range(2))
    assert first == second
    assert json.dumps(write.summarise(unit_result(1, 2))) == json.dumps(write.summarise(unit_result(1, 2)))
