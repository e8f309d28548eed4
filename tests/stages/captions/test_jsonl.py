from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.captions import CaptionsError, CaptionSource, jsonl, open_captions, source
from stages.records import CaptionPair, Quarantined

GOOD = {"input": "a red ball", "edit": "make it blue", "output": "a blue ball"}
PAIR = CaptionPair(**GOOD)
LINE = json.dumps(GOOD).encode()


def read(path: Path, data: bytes | None = None) -> list[CaptionPair | Quarantined]:
    if data is not None:
        path.write_bytes(data)
    return list(open_captions(CaptionSource("jsonl", str(path))))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "not JSON: Expecting property name enclosed in double quotes at character 2"),
        (b"make it blue", "not JSON: Expecting value at character 1"),
        (LINE + LINE, f"not JSON: Extra data at character {len(LINE) + 1}"),
        (b"[1, 2]", "not an object with fields but a list"),
        (b'"text"', "not an object with fields but a text"),
        (b"12", "not an object with fields but a number"),
        (b"null", "not an object with fields but null"),
        (b'{"input": "caf\xe9"}', "not UTF-8: byte 15 of the line is 0xE9"),
        (b"\0" * 40, "not JSON: Expecting value at character 1"),
        (b'{"input": "a\0b"}', "not JSON: Invalid control character at at character 13"),
        (b"[" * 100_000, "not JSON that can be read: it is nested too deeply"),
        (
            b'{"edit": "e", "output": "o"}',
            "there is no input caption: no field 'input', 'caption' or 'original_prompt' among 'edit', 'output'",
        ),
        (json.dumps({**GOOD, "edit": ["a"]}).encode(), "field 'edit' is a list, not text"),
    ],
)
def test_a_bad_line_is_set_aside_with_place_reason_and_text(tmp_path: Path, line: bytes, reason: str) -> None:
    path = tmp_path / "pairs.jsonl"
    text = line.decode("utf-8", "replace")[:500]
    assert read(path, b"\n".join([LINE, line, LINE])) == [PAIR, Quarantined(str(path), 2, reason, text), PAIR]


def test_a_number_too_long_for_python_is_set_aside(tmp_path: Path) -> None:
    line = LINE[:-1] + b', "n": ' + b"9" * 5000 + b"}"
    bad, good = read(tmp_path / "pairs.jsonl", line + b"\n" + LINE)
    assert isinstance(bad, Quarantined)
    assert bad.reason.startswith("not JSON that can be read: ")
    assert good == PAIR


def test_marks_line_ends_and_empty_lines_do_not_matter(tmp_path: Path) -> None:
    data = b"\xef\xbb\xbf" + LINE + b"\r\n\r\n  \n" + LINE + b"\r\n" + LINE
    items = read(tmp_path / "pairs.jsonl", data)
    assert items == [PAIR] * 3
    assert [item.line for item in items if isinstance(item, CaptionPair)] == [1, 4, 5]


def test_unicode_line_separators_do_not_end_a_line(tmp_path: Path) -> None:
    strange = {**GOOD, "input": "a\u2028b\u0085".strip()}
    assert read(tmp_path / "p.jsonl", json.dumps(strange, ensure_ascii=False).encode()) == [
        CaptionPair(**strange)
    ]


def test_gzip_is_known_by_its_content(tmp_path: Path) -> None:
    data = gzip.compress(LINE + b"\n" + LINE)
    assert read(tmp_path / "pairs.jsonl.gz", data) == [PAIR] * 2
    assert read(tmp_path / "unnamed", data + gzip.compress(b"\n" + LINE)) == [PAIR] * 3


@pytest.mark.parametrize("damage", ["cut", "overwritten"])
def test_a_gzip_that_breaks_off_yields_what_came_before(tmp_path: Path, damage: str) -> None:
    many = b"".join(json.dumps({**GOOD, "n": hash((1, n))}).encode() + b"\n" for n in range(60_000))
    data = bytearray(gzip.compress(many))
    middle = len(data) // 2
    data[middle:] = b"" if damage == "cut" else b"\xff" * (len(data) - middle)
    path = tmp_path / "pairs.jsonl.gz"
    *pairs, last = read(path, bytes(data))
    assert len(pairs) > 10_000
    # A cut may fall within a line, which then is a bad one of its own.
    assert sum(isinstance(item, Quarantined) for item in pairs) <= 1
    assert isinstance(last, Quarantined)
    assert last.reason.startswith("cannot be read from here on: ")
    assert last.line == len(pairs) + 1
    assert last.file == str(path)


def test_a_gzip_of_which_nothing_can_be_read_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl.gz"
    with pytest.raises(CaptionsError, match=r"pairs\.jsonl\.gz cannot be read: .*; is it damaged\?"):
        read(path, gzip.compress(LINE)[:12])
    with pytest.raises(CaptionsError, match=r"pairs\.jsonl\.gz is not gzip: .* rename it without \.gz"):
        read(path, LINE)


def test_a_line_without_end_does_not_fill_the_memory(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(source, "MAX_LINE", 1000)
    monkeypatch.setattr("stages.captions.jsonl.MAX_LINE", 1000)
    path = tmp_path / "pairs.jsonl"
    long = json.dumps({**GOOD, "more": "x" * 5000}).encode()
    first, bad, last = read(path, b"\n".join([LINE, long, LINE]))
    assert (first, last) == (PAIR, PAIR)
    assert bad == Quarantined(str(path), 2, "the line is longer than 1000 bytes", long[:500].decode())
    assert isinstance(last, CaptionPair)
    assert last.line == 3


def test_a_file_of_another_encoding_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CaptionsError, match="is UTF-16: save it as UTF-8"):
        read(tmp_path / "pairs.jsonl", LINE.decode().encode("utf-16"))


def test_an_empty_file_has_no_pairs(tmp_path: Path) -> None:
    assert read(tmp_path / "pairs.jsonl", b"") == []
    assert read(tmp_path / "pairs.jsonl.gz", b"") == []
    assert read(tmp_path / "pairs.jsonl", b"\xef\xbb\xbf") == []


TEXTS = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1).filter(lambda text: text.strip())


@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS, st.booleans())))
def test_what_is_written_is_read_and_every_line_is_accounted_for(tmp_path_factory, rows) -> None:
    path = tmp_path_factory.mktemp("jsonl") / "pairs.jsonl"
    written = [
        json.dumps({"input": a, "edit": b, "output": c}, ensure_ascii=ascii).encode()
        for a, b, c, ascii in rows
    ]
    items = read(path, b"\n".join(written))
    assert len(items) == len(rows)
    for (a, b, c, _), item in zip(rows, items, strict=True):
        if isinstance(item, CaptionPair):
            assert (item.input, item.edit, item.output) == (a.strip(), b.strip(), c.strip())
        else:
            assert "same text" in item.reason or "nothing that can be seen" in item.reason


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
RECORDS = st.dictionaries(st.text(max_size=3), JSON, max_size=4)
ODD_LINES = st.sampled_from(
    [
        '{"a": 18446744073709551616}',
        '{"a": [-9223372036854775809]}',
        '{"a": 1e999, "b": -0}',
        '{"a": NaN, "a": 2}',
        '{"a": 1, "b": 2, "a": "3"}',
        '{"a": "\\ud800"}',
        '{"a": "\\ud83d\\ude00"}',
        '\ufeff{"a": 1}',
        '{"a": "\x7f"}\x0c',
        '{"a": 1,}',
        '{"a": "\t"}',
        "[1]",
        "-",
        "{" * 5,
        '{"a":' + "[" * 2000 + "]" * 2000 + "}",
    ]
)
ENCODED = st.builds(lambda record, ascii: json.dumps(record, ensure_ascii=ascii), RECORDS, st.booleans())


@given(ODD_LINES | ENCODED)
def test_a_line_is_what_the_standard_library_parses(line: str) -> None:
    raw = line.encode("utf-8", "surrogatepass") + b"\n"
    # repr tells 1 from 1.0, shows NaN, and keeps the order of the keys.
    assert outcome(jsonl._parse, raw) == outcome(lambda raw: json.loads(raw.rstrip().decode()), raw)


def outcome(parse: Callable[[bytes], object], raw: bytes) -> str:
    try:
        return repr(parse(raw))
    except (ValueError, RecursionError) as error:
        return f"{type(error).__name__}: {error}"


@given(st.lists(st.binary(max_size=40)))
def test_no_bytes_stop_the_reading(tmp_path_factory, chunks: list[bytes]) -> None:
    path = tmp_path_factory.mktemp("jsonl") / "pairs.jsonl"
    data = b"\n" + b"\n".join(chunks) + b"\n" + LINE
    items = read(path, data)
    assert items[-1] == PAIR
    expected = sum(not line.isspace() and bool(line) for line in data.split(b"\n"))
    assert len(items) == expected
