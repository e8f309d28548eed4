from __future__ import annotations

import io
import os
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from stages.storage import ownership, plan_files
from stages.storage.ownership import MARKER, Holding, claim, sweep_runs
from stages.storage.store import Store, StoreError


def _snapshot(folder: Path) -> dict[str, bytes | str | None]:
    """Every path below the folder with its bytes, its link's target, or None for a folder."""

    def content(path: Path) -> bytes | str | None:
        if path.is_symlink():
            return os.readlink(path)
        return None if path.is_dir() else path.read_bytes()

    return {str(path.relative_to(folder)): content(path) for path in sorted(folder.rglob("*"))}


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(str(tmp_path / "o") if request.param == "local" else f"memory://{uuid.uuid4().hex}/o")


def _write_and_fail(store: Store, *names: str) -> None:
    for name in names:
        store.write(name, b"begun")
    raise ValueError("no captions")


def _make_folder_and_fail(folder: Path) -> None:
    folder.mkdir()
    raise ValueError("no captions")


def test_a_new_folder_is_claimed_and_written_again(store: Store):
    for _ in range(2):
        with claim(store, "out"):
            store.write("data/0.tar", b"samples")
    assert store.top_level() == ["data", MARKER]


def test_the_runs_of_a_sweep_are_listed_by_number(store: Store):
    assert sweep_runs(store) == []
    with claim(store, "out", Holding.multirun, steps=["0", "10", "9"]):
        pass
    assert sweep_runs(store) == [store.path(number) for number in ("0", "9", "10")]


@pytest.mark.parametrize("name", ["README.md", "data/x.tar", ".env", "run/config.yaml", "a b/ü.txt"])
def test_a_folder_with_another_file_is_refused(store: Store, name: str):
    store.write(name, b"mine")
    with (
        pytest.raises(StoreError, match=r"out=.* is not empty \(.*give a new or an empty folder"),
        claim(store, "out"),
    ):
        pytest.fail("the block ran")
    assert store.top_level() == [name.partition("/")[0]]
    assert store.read(name) == b"mine"


def test_the_error_shows_three_names_and_counts_the_rest(store: Store):
    for name in "edcba":
        store.write(name, b"")
    with pytest.raises(StoreError, match=r"\(a, b, c and 2 more\)"), claim(store, "to"):
        pass


@pytest.mark.parametrize("name", sorted(ownership.IGNORED - {MARKER}))
def test_names_that_systems_make_leave_a_folder_empty(store: Store, name: str):
    store.write(name, b"")
    with claim(store, "out"):
        store.write("README.md", b"card")
    assert store.read(name) == b""


def test_an_output_without_a_marker_but_with_a_plan_is_ours(store: Store):
    store.create_record(plan_files.MANIFEST, {"units": 1})
    with claim(store, "out"):
        store.write("README.md", b"card")


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"name": "a package of somebody"}', b"\xff\xfe"])
def test_a_marker_of_somebody_else_does_not_count(store: Store, text: bytes):
    store.write(MARKER, text)
    store.write("README.md", b"mine")
    with pytest.raises(StoreError, match="not an output of pairforge"), claim(store, "out"):
        pass
    assert store.read(MARKER) == text


def test_an_output_that_holds_something_else_is_refused(store: Store):
    with claim(store, "to", Holding.export):
        store.write("README.md", b"card")
    with pytest.raises(StoreError, match=r"\(export\)"), claim(store, "out"):
        pass


def test_a_command_that_cannot_resume_needs_an_empty_folder(store: Store):
    with claim(store, "to", Holding.export, resumable=False):
        store.write("data/a.parquet", b"rows")
    with pytest.raises(StoreError, match="is not empty"), claim(store, "to", Holding.export, resumable=False):
        pass
    assert store.read("data/a.parquet") == b"rows"


def test_inside_an_output_only_its_steps_are_allowed(store: Store):
    with claim(store, "out", steps=["pairs"]):
        pass
    with claim(Store(f"{store.url}/pairs"), "out"):
        pass
    for inner in ("data", "pairs/x", "other"):
        with pytest.raises(StoreError, match="another output"), claim(Store(f"{store.url}/{inner}"), "to"):
            pass


def test_a_failed_start_leaves_no_folder(tmp_path: Path):
    store = Store(str(tmp_path / "a" / "b" / "o"))
    with pytest.raises(ValueError, match="no captions"), claim(store, "out"):
        _make_folder_and_fail(tmp_path / "a/b/o/run")
    assert _snapshot(tmp_path) == {}


def test_a_failed_start_leaves_an_empty_folder_empty(tmp_path: Path):
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / ".gitkeep").touch()
    before, store = _snapshot(tmp_path), Store(str(tmp_path / "o"))
    with pytest.raises(ValueError, match="no captions"), claim(store, "out"):
        _write_and_fail(store)
    assert _snapshot(tmp_path) == before


def test_a_resumable_command_keeps_what_it_wrote(store: Store):
    with pytest.raises(ValueError, match="no captions"), claim(store, "out"):
        _write_and_fail(store, "quarantine/lines.jsonl")
    assert store.top_level() == [MARKER, "quarantine"]
    with claim(store, "out"):
        pass


def test_another_command_removes_what_it_wrote(store: Store):
    with pytest.raises(ValueError, match="no captions"), claim(store, "to", Holding.export, resumable=False):
        _write_and_fail(store, "data/a.parquet", "README.md")
    assert store.top_level() == []


def test_a_failed_resume_removes_nothing(store: Store):
    with claim(store, "out"):
        store.write("data/0.tar", b"samples")
    with pytest.raises(ValueError, match="no captions"), claim(store, "out"):
        _write_and_fail(store)
    assert store.top_level() == ["data", MARKER]


def test_a_link_to_an_empty_folder_is_followed(tmp_path: Path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with claim(Store(str(tmp_path / "link")), "out"):
        pass
    assert _snapshot(tmp_path / "real").keys() == {MARKER}


def test_a_link_into_an_output_is_inside_it(tmp_path: Path):
    with claim(Store(str(tmp_path / "o")), "out"):
        Store(str(tmp_path / "o")).write("data/x", b"")
    (tmp_path / "link").symlink_to(tmp_path / "o" / "data")
    with (
        pytest.raises(StoreError, match="another output"),
        claim(Store(str(tmp_path / "link" / "sub")), "out"),
    ):
        pass


def _png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (2, 3), (1, 2, 3)).save(buffer, "PNG")
    return buffer.getvalue()


def test_our_picture_is_replaced(tmp_path: Path):
    path = tmp_path / "new" / "a.png"
    for _ in range(2):
        ownership.write_picture(path, _png(), "out")
    with Image.open(path) as image:
        assert image.getpixel((0, 0)) == (1, 2, 3)


def _text(path: Path) -> None:
    path.write_text("notes")


def _other_png(path: Path) -> None:
    path.write_bytes(_png())


def _dangling(path: Path) -> None:
    path.symlink_to("nowhere")


@pytest.mark.parametrize("occupy", [_text, _other_png, _dangling, Path.mkdir])
def test_no_file_of_others_becomes_a_picture(tmp_path: Path, occupy: Callable[[Path], None]):
    path = tmp_path / "a.png"
    occupy(path)
    before = _snapshot(tmp_path)
    with pytest.raises(StoreError, match=r"a\.png"):
        ownership.write_picture(path, _png(), "out")
    assert _snapshot(tmp_path) == before


def test_an_output_that_goes_on_gets_further_steps(store: Store):
    for steps in (["0"], ["0", "1"], ["1"]):
        with claim(store, "out", Holding.multirun, steps=steps):
            store.write("table", b"")
    for name in ("0", "1"):
        with claim(Store(f"{store.url}/{name}"), "out", steps=["pairs"]):
            Store(f"{store.url}/{name}").write("card", b"")
        with claim(Store(f"{store.url}/{name}/pairs"), "out"):
            pass
    with pytest.raises(StoreError, match="another output"), claim(Store(f"{store.url}/2"), "out"):
        pass


@pytest.mark.parametrize("resumable", [True, False])
def test_a_failed_start_keeps_the_names_that_were_there(tmp_path: Path, resumable: bool):
    (tmp_path / ".gitignore").write_text("*.tmp")
    (tmp_path / "lost+found").mkdir()
    before, store = _snapshot(tmp_path), Store(str(tmp_path))
    names = () if resumable else ("data/a.parquet",)
    with pytest.raises(ValueError, match="no captions"), claim(store, "to", resumable=resumable):
        _write_and_fail(store, *names)
    assert _snapshot(tmp_path) == before
