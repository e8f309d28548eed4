from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

import p2p
from p2p.plugins import load_plugin, source_digest
from p2p.samplers.sampler_registry import maker_of, sampler_digest


class OddError(ValueError):
    """Whatever error the caller has."""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on Python's path, whose modules are forgotten."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    return tmp_path


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "absent_part",
            r"^thing 'absent_part' is unknown; there are one, absent_parts, or .*mean absent_parts\?\)$",
        ),
        (
            "qqq.zzz",
            r"^thing 'qqq.zzz' is unknown; there are one, absent_parts, or a module .* PYTHONPATH$",
        ),
        ("", "^thing '' cannot be imported: "),
        (".part", "^thing '.part' cannot be imported: "),
        ("broken_part", "^thing 'broken_part' cannot be imported: No module named 'nowhere'; is its folder"),
        ("odd_part", "^thing 'odd_part' cannot be imported: two lines; is its folder"),
        (
            "bare_part",
            "^thing 'bare_part' has no b, c and is none of one, absent_parts; docs/extending.md shows",
        ),
    ],
)
def test_a_module_that_will_not_do_is_named(path: Path, name: str, said: str) -> None:
    (path / "broken_part.py").write_text("import nowhere")
    (path / "odd_part.py").write_text("raise OSError('two\\nlines')")
    (path / "bare_part.py").write_text("a = 1")
    with pytest.raises(OddError, match=said):
        load_plugin("thing", name, ("a", "b", "c"), OddError, ("one", "absent_parts"))


def test_a_module_in_a_package_is_found(path: Path) -> None:
    (path / "outer").mkdir()
    (path / "outer" / "inner.py").write_text("a = 7")
    assert load_plugin("thing", "outer.inner", ("a",), OddError).a == 7


def test_the_digest_is_that_of_a_file_s_bytes_wherever_it_lies(path: Path) -> None:
    digests = []
    for name, text in (("first", "a = 1"), ("second", "a = 1"), ("third", "a = 2")):
        (path / f"{name}_part.py").write_text(text)
        digests.append(source_digest(importlib.import_module(f"{name}_part")))
    assert digests[0] == digests[1] != digests[2]


def test_the_digest_of_a_package_is_that_of_all_its_python(path: Path) -> None:
    package = path / "whole_part"
    (package / "deep").mkdir(parents=True)
    (package / "__init__.py").write_text("a = 1")
    (package / "deep" / "more.py").write_text("b = 1")
    module = importlib.import_module("whole_part")
    before = source_digest(module)
    (package / "notes.txt").write_text("no source")
    assert source_digest(module) == before
    (package / "deep" / "more.py").write_text("b = 2")
    assert source_digest(module) != before


def test_a_sampler_of_one_s_own_is_made_by_its_module(path: Path, sd1_folder: Path) -> None:
    (path / "own_euler.py").write_text("from p2p.samplers.euler import euler as make\n")
    assert maker_of("own_euler") is maker_of("euler")
    ask = {"taus": (0.5,), "steps": 2, "seed": 1}
    editor = p2p.load(sd1_folder, device="cpu")
    own = editor.sweep("a red ball", "a blue ball", sampler="own_euler", **ask)
    assert (own.edits == editor.sweep("a red ball", "a blue ball", sampler="euler", **ask).edits).all()
    assert len(sampler_digest("own_euler")) == 64
    with pytest.raises(
        p2p.P2PError, match=r"sampler 'eulr' is unknown; there are ddim.* \(did you mean euler"
    ):
        p2p.SweepRequest("a", "b", sampler="eulr")
