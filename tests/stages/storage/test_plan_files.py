from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.records import CaptionPair, Unit
from stages.storage import plan_files
from stages.storage.store import Store


def pairs(count: int) -> list[CaptionPair]:
    return [CaptionPair(f"a {k}", "edit", f"b {k}") for k in range(count)]


@given(st.integers(0, 50), st.integers(1, 7))
def test_units_hold_the_pairs_in_order_each_once(count: int, unit_pairs: int):
    cut = [Unit(*one) for one in plan_files.cut(pairs(count), unit_pairs)]
    assert [pair for unit in cut for pair in unit.pairs] == pairs(count)
    assert [unit.index for unit in cut] == list(range(len(cut)))
    assert all(len(unit.pairs) == unit_pairs for unit in cut[:-1])


@pytest.mark.parametrize("count", [1, plan_files.UNITS_PER_FILE, plan_files.UNITS_PER_FILE + 1])
def test_a_unit_is_found_by_its_index_alone(tmp_path: Path, count: int):
    store = Store(str(tmp_path))
    planned = [Unit(*one) for one in plan_files.cut(pairs(count), 1)]
    written, files = plan_files.write_units(store, plan_files.lines_of(planned))
    assert (written, len(files)) == (count, -(-count // plan_files.UNITS_PER_FILE))
    assert plan_files.create_manifest(store, {"files": files})
    assert [plan_files.read_unit(store, index) for index in range(count)] == planned
    with pytest.raises(FileNotFoundError):
        plan_files.read_unit(store, len(files) * plan_files.UNITS_PER_FILE)


def test_a_plan_is_what_its_manifest_names(tmp_path: Path):
    store = Store(str(tmp_path))
    planned = [Unit(*one) for one in plan_files.cut(pairs(10), 3)]
    _, files = plan_files.write_units(store, plan_files.lines_of(planned))
    assert plan_files.create_manifest(store, {"files": files})
    _, others = plan_files.write_units(
        store, plan_files.lines_of(Unit(*one) for one in plan_files.cut(pairs(10), 4))
    )
    assert not plan_files.create_manifest(store, {"files": others})
    assert list(plan_files.read_units(store, len(planned))) == planned


def test_the_numbered_files_of_an_older_version_are_read(tmp_path: Path):
    store = Store(str(tmp_path))
    planned = [Unit(*one) for one in plan_files.cut(pairs(plan_files.UNITS_PER_FILE + 1), 1)]
    _, files = plan_files.write_units(store, plan_files.lines_of(planned))
    for number, (name, _) in enumerate(files):
        store.write(f"run/plan/units-{number:06d}.jsonl", store.read(name))
        store.remove(name)
    assert plan_files.create_manifest(store, {"files": [digest for _, digest in files]})
    assert list(plan_files.read_units(store, len(planned))) == planned


@settings(max_examples=30, deadline=None)
@given(st.text(min_size=1), st.text())
def test_any_caption_survives(tmp_path_factory: pytest.TempPathFactory, caption: str, meta: str):
    caption = caption.encode("utf-8", "ignore").decode()
    store = Store(str(tmp_path_factory.mktemp("plan")))
    unit = Unit(0, (CaptionPair(caption, "x", "y"), CaptionPair("x", caption, "y")))
    _, files = plan_files.write_units(store, plan_files.lines_of([unit]))
    assert plan_files.create_manifest(store, {"files": files})
    assert plan_files.read_unit(store, 0) == unit
