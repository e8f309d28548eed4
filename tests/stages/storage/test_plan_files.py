from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.records import CaptionPair, Unit
from stages.storage import plan_files
from stages.storage.store import DamageError, Store


def pairs(count: int) -> list[CaptionPair]:
    return [CaptionPair(f"a {k}", "edit", f"b {k}") for k in range(count)]


@given(st.integers(0, 50), st.integers(1, 7))
def test_units_hold_the_pairs_in_order_each_once(count: int, unit_pairs: int):
    cut = list(plan_files.cut(pairs(count), unit_pairs))
    assert [pair for unit in cut for pair in unit.pairs] == pairs(count)
    assert [unit.index for unit in cut] == list(range(len(cut)))
    assert all(len(unit.pairs) == unit_pairs for unit in cut[:-1])


@pytest.mark.parametrize("count", [1, plan_files.UNITS_PER_FILE, plan_files.UNITS_PER_FILE + 1])
def test_a_unit_is_found_by_its_index_alone(tmp_path: Path, count: int):
    store = Store(str(tmp_path))
    planned = list(plan_files.cut(pairs(count), 1))
    written, files = plan_files.write_units(store, planned)
    assert (written, len(files)) == (count, -(-count // plan_files.UNITS_PER_FILE))
    assert plan_files.create_manifest(store, {"files": files})
    assert [plan_files.read_unit(store, index) for index in range(count)] == planned
    with pytest.raises(FileNotFoundError):
        plan_files.read_unit(store, len(files) * plan_files.UNITS_PER_FILE)


def test_a_plan_is_what_its_manifest_names(tmp_path: Path):
    store = Store(str(tmp_path))
    planned = list(plan_files.cut(pairs(10), 3))
    _, files = plan_files.write_units(store, planned)
    assert plan_files.create_manifest(store, {"files": files})
    _, others = plan_files.write_units(store, plan_files.cut(pairs(10), 4))
    assert not plan_files.create_manifest(store, {"files": others})
    assert list(plan_files.read_units(store, len(planned))) == planned


def test_a_damaged_or_lost_file_of_units_is_named(tmp_path: Path):
    store = Store(str(tmp_path))
    _, files = plan_files.write_units(store, plan_files.cut(pairs(3), 1))
    assert plan_files.create_manifest(store, {"files": files})
    ((name, _),) = files
    whole = store.read(name)
    store.write(name, whole.replace(b"a 1", b"a 2"))
    with pytest.raises(DamageError, match=f"{name} is damaged"):
        plan_files.read_unit(store, 1)
    store.remove(name)
    with pytest.raises(DamageError, match=f"{name} is missing"):
        plan_files.read_unit(store, 1)
    store.write(name, whole)
    assert plan_files.read_unit(store, 1).pairs == (pairs(3)[1],)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_units_of_extensions_follow_those_of_the_plan(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int]
):
    store, first = Store(str(tmp_path_factory.mktemp("plan"))), 0
    units = list(plan_files.cut(pairs(sum(sizes)), 1))
    for number, size in enumerate(sizes):
        count, files = plan_files.write_units(store, units[first : first + size])
        if number:
            extension = plan_files.Extension(first, count, tuple(files), {"pairs": first + count})
            assert plan_files.add_extension(store, number, extension)
            assert plan_files.read_extensions(store)[-1] == extension
        else:
            assert plan_files.create_manifest(store, {"files": files})
        first += size
    assert list(plan_files.read_units(store, len(units))) == units
    with pytest.raises(FileNotFoundError):
        plan_files.read_unit(store, len(units))


@settings(max_examples=30, deadline=None)
@given(st.text(min_size=1), st.text())
def test_any_caption_survives(tmp_path_factory: pytest.TempPathFactory, caption: str, meta: str):
    caption = caption.encode("utf-8", "ignore").decode()
    store = Store(str(tmp_path_factory.mktemp("plan")))
    unit = Unit(0, (CaptionPair(caption, "x", "y"), CaptionPair("x", caption, "y")))
    _, files = plan_files.write_units(store, [unit])
    assert plan_files.create_manifest(store, {"files": files})
    assert plan_files.read_unit(store, 0) == unit
