from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.captions import CaptionsError, CaptionSource, open_captions
from stages.records import CaptionPair, Quarantined

HEADER = b"input,edit,output\n"
ROW = b"a red ball,make it blue,a blue ball\n"
PAIR = CaptionPair("a red ball", "make it blue", "a blue ball")


def read(path: Path, data: bytes) -> list[CaptionPair | Quarantined]:
    path.write_bytes(data)
    return list(open_captions(CaptionSource("csv", str(path))))


def test_records_are_pairs_and_other_columns_travel_along(tmp_path: Path) -> None:
    data = b'url, Caption ,instruction,edited_caption\nhttp://x,"a ball, red",make it blue,a blue ball\n'
    path = tmp_path / "pairs.csv"
    path.write_bytes(data)
    (pair,) = open_captions(CaptionSource("csv", str(path), fields={"input": "Caption"}))
    assert pair == CaptionPair("a ball, red", "make it blue", "a blue ball", json.dumps({"url": "http://x"}))


@pytest.mark.parametrize("name", ["pairs.csv", "pairs.csv.gz"])
def test_marks_line_ends_and_empty_lines_do_not_matter(tmp_path: Path, name: str) -> None:
    data = b"\xef\xbb\xbf\n" + HEADER.replace(b"\n", b"\r\n") + b"\r\n" + ROW + b"\n" + ROW.strip()
    items = read(tmp_path / name, gzip.compress(data) if name.endswith("gz") else data)
    assert items == [PAIR] * 2
    assert [item.line for item in items if isinstance(item, CaptionPair)] == [4, 6]


def test_a_record_over_several_lines_stands_where_it_begins(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    over_lines = b'"a red\nball",make it blue,a blue ball\n'
    items = read(path, HEADER + ROW + over_lines + b'a,"say ""b""\n",c\n' + ROW)
    assert items == [
        PAIR,
        Quarantined(
            str(path), 3, "field 'input' holds a control character (U+000A)", over_lines.decode().strip()
        ),
        CaptionPair("a", 'say "b"', "c"),
        PAIR,
    ]
    assert items[3].line == 7


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (b"a red ball,make it blue\n", "2 cells where the header has 3 columns"),
        (b"a,b,c,d\n", "4 cells where the header has 3 columns"),
        (b'a,"b" x,c\n', "not CSV: ',' expected after '\"'"),
        (b"caf\xe9,b,c\n", "not UTF-8: byte 4 of the record is 0xE9"),
        (b"a\0,b,c\n", "field 'input' holds a control character (U+0000)"),
        (b",b,c\n", "field 'input' is empty"),
        (b"a,b,a\n", "fields 'input' and 'output' are the same text: there is no edit to show"),
    ],
)
def test_a_bad_record_is_set_aside(tmp_path: Path, record: bytes, reason: str) -> None:
    path = tmp_path / "pairs.csv"
    bad = Quarantined(str(path), 3, reason, record.decode("utf-8", "replace").strip())
    assert read(path, HEADER + ROW + record + ROW) == [PAIR, bad, PAIR]


def test_an_unclosed_quote_costs_only_what_it_swallows(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    items = read(path, HEADER + b'"a,b,c\n' + ROW * 20_000)
    bad = [item for item in items if isinstance(item, Quarantined)]
    assert [(item.line, item.reason) for item in bad] == [
        (2, "not CSV: field larger than field limit (131072)")
    ]
    assert len(bad[0].text) == 500
    swallowed = 131072 // len(ROW)
    assert abs(len(items) - 1 - (20_000 - swallowed)) <= 1
    assert items[-1].line == 20_002


def test_a_quote_open_at_the_end_is_a_bad_record(tmp_path: Path) -> None:
    *_, last = read(tmp_path / "pairs.csv", HEADER + ROW + b'a,b,"c\n')
    assert isinstance(last, Quarantined)
    assert (last.line, last.reason) == (3, "not CSV: unexpected end of data")


def test_a_gzip_that_breaks_off_yields_what_came_before(tmp_path: Path) -> None:
    rows = b"".join(b"a %d,make it %d,b %d\n" % (n, n * 7919 % 10007, n) for n in range(60_000))
    data = gzip.compress(HEADER + rows)
    *pairs, last = read(tmp_path / "pairs.csv.gz", data[: len(data) // 2])
    assert len(pairs) > 10_000
    assert isinstance(last, Quarantined)
    assert last.reason.startswith("cannot be read from here on")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"pairs\.csv is empty: its first line names the columns"),
        (b"\n\n", "is empty"),
        (b"a,b,c\n1,2,3\n", "there is no input caption: no field .* among 'a', 'b', 'c'"),
        (b"inputs,edit,output\n", r"did you mean inputs\?.*captions\.fields"),
        (b"input;edit;output\n", "does not separate its columns by commas"),
        (b"input,edit,output,edit\n", "more than one column called 'edit'"),
        (b'"input,edit\n', r"cannot be read: .*is it CSV\?"),
    ],
)
def test_missing_columns_are_an_error_before_reading(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "pairs.csv"
    path.write_bytes(data)
    with pytest.raises(CaptionsError, match=message) as raised:
        open_captions(CaptionSource("csv", str(path)))
    assert "\n" not in str(raised.value)


TEXTS = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=12)


@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS), max_size=8), st.sampled_from(["\n", "\r\n"]))
def test_what_the_csv_module_writes_is_read(tmp_path_factory, rows, end: str) -> None:
    stream = io.StringIO()
    csv.writer(stream, lineterminator=end).writerows([("input", "edit", "output"), *rows])
    items = read(tmp_path_factory.mktemp("csv") / "pairs.csv", stream.getvalue().encode())
    assert len(items) == len(rows)
    for number, (row, item) in enumerate(zip(rows, items, strict=True), 2):
        assert item.line == number
        if isinstance(item, CaptionPair):
            assert (item.input, item.edit, item.output) == tuple(text.strip() for text in row)
        else:
            assert any(word in item.reason for word in ("empty", "same text", "nothing that can be seen"))
