"""No command replaces a file of the user: every writing command against every kind of occupied target."""

from __future__ import annotations

import hashlib
import io
import os
import re
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from pipeline.cli.main import main
from pipeline.dataset.pack import pack
from stages.storage.commits import read_commits
from stages.storage.ownership import MARKER, claim
from stages.storage.store import Store
from tests import s3
from tests.pipeline.outputs import commit, planned

CAPTIONS = '{"input": "a red ball on grass", "edit": "make it blue", "output": "a blue ball on grass"}\n'


def snapshot(folder: Path) -> dict[str, str]:
    """Every path below the folder: the SHA-256 of a file, the target of a link, or that it is a folder."""

    def content(path: Path) -> str:
        if path.is_symlink():
            return f"link to {os.readlink(path)}"
        return "folder" if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()

    return {str(path.relative_to(folder)): content(path) for path in sorted(folder.rglob("*"))}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``pairs.jsonl``, and ``out``, a finished output."""
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "pairs.jsonl").write_text(CAPTIONS)
    (folder / "captions.txt").write_text("a red ball on grass\n")
    store, plan = planned(folder / "out", 2)
    commit(store, [1, 2])
    pack(store, list(read_commits(store, range(plan.units))), 2)
    return folder


Command = Callable[[Path, str], list[str]]
COMMANDS: dict[str, Command] = {
    "run": lambda inputs, to: [f"captions.path={inputs}/pairs.jsonl", f"out={to}"],
    "pairs": lambda inputs, to: ["pairs", f"captions.path={inputs}/captions.txt", "captions.kind=text", f"out={to}"],
    "two steps": lambda inputs, to: [
        "captions=from_captions", f"captions.path={inputs}/captions.txt", "captions.kind=text", f"out={to}"
    ],
    "refilter": lambda inputs, to: ["refilter", f"{inputs}/out", f"out2={to}"],
    "export": lambda inputs, to: ["export", f"{inputs}/out", f"to={to}"],
    "finetune": lambda inputs, to: ["finetune", f"data={inputs}/pairs.jsonl", "writer.model=x", f"out={to}"],
}  # fmt: skip
PICTURES: dict[str, Command] = {
    "attention": lambda inputs, to: ["attention", "a red ball on grass", f"out={to}"],
    "replay": lambda inputs, to: ["replay", f"{inputs}/out", "0-000", to],
}


def _readme(folder: Path) -> str:
    (folder / "target").mkdir()
    (folder / "target/README.md").write_text("# my work")
    return str(folder / "target")


def _data(folder: Path) -> str:
    (folder / "target/data").mkdir(parents=True)
    (folder / "target/data/notes.txt").write_text("numbers")
    return str(folder / "target")


def _empty_data(folder: Path) -> str:
    (folder / "target/data").mkdir(parents=True)
    return str(folder / "target")


def _dataset(folder: Path) -> str:
    for name in (
        "data/00000.tar",
        "scores/00000.parquet",
        "README.md",
        "report/index.html",
        "run/config.yaml",
    ):
        (folder / "target" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "target" / name).write_text(name)
    return str(folder / "target")


def _marker_of_others(folder: Path) -> str:
    (folder / "target").mkdir()
    (folder / "target" / MARKER).write_text('{"name": "somebody\'s package"}')
    (folder / "target/pairs.jsonl").write_text(CAPTIONS)
    return str(folder / "target")


def _hidden(folder: Path) -> str:
    (folder / "target").mkdir()
    (folder / "target/.env").write_text("KEY=1")
    return str(folder / "target")


def _file(folder: Path) -> str:
    (folder / "target").write_text("text")
    return str(folder / "target")


def _below_a_file(folder: Path) -> str:
    (folder / "file").write_text("text")
    return str(folder / "file/deeper/target")


def _link_to_folder(folder: Path) -> str:
    (folder / "real").mkdir()
    (folder / "real/a.txt").write_text("text")
    (folder / "target").symlink_to("real")
    return str(folder / "target")


def _link_to_file(folder: Path) -> str:
    (folder / "real.txt").write_text("text")
    (folder / "target").symlink_to("real.txt")
    return str(folder / "target")


def _dangling_link(folder: Path) -> str:
    (folder / "target").symlink_to("nowhere")
    return str(folder / "target")


def _current_folder(folder: Path) -> str:
    (folder / "a.py").write_text("print()")
    return "."


def _root(folder: Path) -> str:
    return "/"


def _inside_an_output(folder: Path) -> str:
    with claim(Store(str(folder / "ours")), "out"):
        (folder / "ours/README.md").write_text("card")
    return str(folder / "ours/data")


def _output_of_0_1(folder: Path) -> str:
    store = Store(str(folder / "old"))
    store.write_record("run/plan/plan.json", {"units": 1, "settings": {"format": 1}})
    store.write("README.md", b"card")
    return store.url


FOLDERS = [
    _readme, _data, _empty_data, _dataset, _marker_of_others, _hidden, _file, _below_a_file, _link_to_folder,
    _link_to_file, _dangling_link, _current_folder, _root, _inside_an_output, _output_of_0_1,
]  # fmt: skip


def _refused(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    assert main(arguments) == 2
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    return line


@pytest.mark.parametrize("occupy", FOLDERS, ids=lambda occupy: occupy.__name__.strip("_"))
@pytest.mark.parametrize("command", COMMANDS)
def test_an_occupied_folder_stays_as_it_is(
    command: str,
    occupy: Callable[[Path], str],
    inputs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    target = occupy(tmp_path)
    monkeypatch.chdir(tmp_path)
    before = snapshot(tmp_path), snapshot(inputs), sorted(os.listdir("/"))
    line = _refused(capsys, COMMANDS[command](inputs, target))
    assert (snapshot(tmp_path), snapshot(inputs), sorted(os.listdir("/"))) == before
    assert re.search("is not empty|is a file|lies (in|below)|exists already|by PairForge 0.1", line)
    assert "give" in line


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "finetune"])
def test_an_occupied_bucket_stays_as_it_is(
    command: str, inputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # The servers of one process share their objects.
    mine = f"mine-{uuid.uuid4().hex}"
    with s3.served() as bucket:
        Store(bucket).write(f"{mine}/data/notes.txt", b"numbers")
        before = Store(bucket).top_level()
        for target in (f"{bucket}/{mine}", bucket):
            assert "is not empty" in _refused(capsys, COMMANDS[command](inputs, target))
        assert Store(bucket).top_level() == before
        assert Store(f"{bucket}/{mine}").top_level() == ["data"]
        assert Store(f"{bucket}/{mine}").list("data") == ["data/notes.txt"]
        assert Store(bucket).read(f"{mine}/data/notes.txt") == b"numbers"


def _other_picture(folder: Path) -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    (folder / "holiday.png").write_bytes(buffer.getvalue())
    return str(folder / "holiday.png")


def _text_named_png(folder: Path) -> str:
    (folder / "notes.png").write_text("notes")
    return str(folder / "notes.png")


def _folder_named_png(folder: Path) -> str:
    (folder / "a.png").mkdir()
    return str(folder / "a.png")


def _link_named_png(folder: Path) -> str:
    (folder / "real.txt").write_text("text")
    (folder / "a.png").symlink_to("real.txt")
    return str(folder / "a.png")


@pytest.mark.parametrize(
    "occupy",
    [_other_picture, _text_named_png, _folder_named_png, _link_named_png],
    ids=lambda o: o.__name__.strip("_"),
)
@pytest.mark.parametrize("command", PICTURES)
def test_no_file_becomes_a_picture(
    command: str,
    occupy: Callable[[Path], str],
    inputs: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    target = occupy(tmp_path)
    before = snapshot(tmp_path), snapshot(inputs)
    assert "give" in _refused(capsys, PICTURES[command](inputs, target))
    assert (snapshot(tmp_path), snapshot(inputs)) == before
