from __future__ import annotations

import sys
from pathlib import Path

import pytest

from stages.captions import CaptionsError, CaptionSource, open_captions
from stages.records import CaptionPair, Quarantined

GOOD = {"input": "a red ball", "edit": "make it blue", "output": "a blue ball"}


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on Python's path, whose modules are forgotten."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    return tmp_path


def read(path: Path, body: str, **more: object) -> list[CaptionPair | Quarantined]:
    (path / "own_captions.py").write_text(f"GOOD = {GOOD!r}\ndef records(source):\n    {body}\n")
    sys.modules.pop("own_captions", None)
    return list(open_captions(CaptionSource("own_captions", "SELECT 1", **more)))


def test_records_are_rows_with_their_numbers(path: Path):
    found = read(path, "return [GOOD, {**GOOD, 'edit': ''}, 7, {**GOOD, 'url': source.path}]")
    assert [type(one) for one in found] == [CaptionPair, Quarantined, Quarantined, CaptionPair]
    assert [one.line for one in found] == [1, 2, 3, 4]
    assert (found[2].file, found[2].reason, found[2].text) == (
        "SELECT 1",
        "not an object with fields but int",
        "7",
    )
    assert found[3].meta == '{"url": "SELECT 1"}'


def test_captions_alone_are_read_so_too(path: Path):
    (found,) = read(path, "yield {'caption': 'a red ball'}", captions_only=True)
    assert (found.input, found.edit, found.output) == ("a red ball", "", "")


def test_only_as_many_are_asked_for_as_are_wanted(path: Path):
    found = read(path, "while True: yield {**GOOD, 'input': str(id(object()))}", limit=3)
    assert len(found) == 3


def test_where_it_breaks_off_is_told(path: Path):
    good, broken = read(path, "yield GOOD; raise KeyError('connection')")
    assert isinstance(good, CaptionPair)
    assert broken.reason == "cannot be read from here on: 'connection'"
    with pytest.raises(CaptionsError, match="SELECT 1 cannot be read: no such table"):
        read(path, "raise OSError('no such table'); yield GOOD")


def test_a_module_without_records_is_refused(path: Path):
    (path / "no_captions.py").write_text("")
    with pytest.raises(
        CaptionsError, match=r"captions.kind 'no_captions' has no records and is none of jsonl"
    ):
        open_captions(CaptionSource("no_captions", "x"))
