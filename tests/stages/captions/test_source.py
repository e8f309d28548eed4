from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.captions import CaptionsError, source
from stages.captions.source import SourceRecord, open_lines, until_broken


@given(st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b""))), st.booleans())
def test_lines_joined_are_the_file_plain_or_gzip(tmp_path_factory, lines: list[bytes], packed: bool) -> None:
    path = tmp_path_factory.mktemp("lines") / "file"
    data = b"first\n" + b"\n".join(lines)
    path.write_bytes(gzip.compress(data) if packed else data)
    read = list(open_lines(str(path)))
    assert b"".join(read) == data
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in read[:-1])


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbfa\n\xef\xbb\xbfb")
    assert list(open_lines(str(tmp_path / "a"))) == [b"a\n", b"\xef\xbb\xbfb"]


def test_a_long_line_is_cut_and_the_next_one_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MAX_LINE", 10)
    (tmp_path / "a").write_bytes(b"x" * 35 + b"\nnext\n" + b"y" * 9 + b"\nend")
    assert list(open_lines(str(tmp_path / "a"))) == [b"x" * 10, b"next\n", b"y" * 9 + b"\n", b"end"]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("pairs.jsonl", None, r"no such file \(did you mean .*pears\.jsonl\?\)"),
        ("pairs.gz", b"plain", "is not gzip: if it is plain text, rename it without .gz"),
        ("pairs.csv", "a,b".encode("utf-16"), "is UTF-16: save it as UTF-8"),
    ],
)
def test_the_error_names_the_cause_and_the_fix(
    tmp_path: Path, name: str, data: bytes | None, message: str
) -> None:
    (tmp_path / "pears.jsonl").write_bytes(b"")
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(CaptionsError, match=message):
        open_lines(str(tmp_path / name))


def test_an_error_after_a_record_ends_the_source_with_a_bad_one() -> None:
    def records(count: int):
        yield from (SourceRecord("f", 3 * n, {}) for n in range(1, count + 1))
        raise OSError("the disk is\nbroken")

    *good, bad = until_broken(records(2), "f", (OSError,))
    assert [record.line for record in good] == [3, 6]
    assert bad == SourceRecord("f", 7, None, "cannot be read from here on: the disk is broken", b"")
    with pytest.raises(CaptionsError, match="f cannot be read: the disk is broken; is it damaged"):
        list(until_broken(records(0), "f", (OSError,)))
    with pytest.raises(OSError, match="broken"):
        list(until_broken(records(2), "f", (EOFError,)))
