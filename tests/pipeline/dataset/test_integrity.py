from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.dataset import integrity
from pipeline.dataset.integrity import Damage
from pipeline.dataset.pack import MANIFEST, pack
from pipeline.planning.plan import load
from stages.storage.commits import commit_name, read_commits
from stages.storage.store import Store
from tests.pipeline.outputs import commit, planned


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three units committed and packed."""
    folder = tmp_path_factory.mktemp("whole")
    store, plan = planned(folder, 3)
    commit(store, [1, 2, 0])
    pack(store, list(read_commits(store, range(plan.units))), 2)
    return folder


def find_damage(folder: Path) -> list[Damage]:
    store = Store(str(folder))
    plan = load(store)
    return list(
        itertools.chain(
            integrity.in_plan(store, plan), integrity.in_units(store), integrity.in_packed(store, plan)
        )
    )


def test_a_whole_output_has_no_damage(whole: Path):
    assert find_damage(whole) == []


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_changed_byte_is_found(
    tmp_path_factory: pytest.TempPathFactory, whole: Path, data: st.DataObject
):
    out = shutil.copytree(whole, tmp_path_factory.mktemp("changed") / "out")
    checked = ("run/plan/units*", "run/commits/*", "run/parts/*", "data/*", "scores/*", MANIFEST)
    path = data.draw(st.sampled_from(sorted(path for pattern in checked for path in out.glob(pattern))))
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(content))
    assert find_damage(out) != []


def test_damage_of_a_unit_has_its_number(whole: Path, tmp_path: Path):
    out = shutil.copytree(whole, tmp_path / "out")
    next((out / "run/parts").glob("00000001-*.scores.parquet")).unlink()
    (out / commit_name(0)).write_text("{}")
    assert {damage.unit for damage in find_damage(out)} == {0, 1}


def test_deleted_parts_are_no_damage_after_packing(whole: Path, tmp_path: Path):
    out = shutil.copytree(whole, tmp_path / "out")
    shutil.rmtree(out / "run/parts")
    assert integrity.is_bare(Store(str(out)))
    assert find_damage(out) == []
