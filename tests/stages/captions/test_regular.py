from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stages.captions import regular

LINE = b'{"input": "a red ball", "edit": "make it blue"}\n'
NOISE = st.lists(
    st.sampled_from([*'{}[]:,"\\\n \t\r', "a", "b", '"a"', '"a": "b"', "é", "\x85", "1"]), max_size=40
)


def columns(lines: list[bytes]) -> dict[str, list[str]] | None:
    return regular.columns(b"".join(lines), len(lines))


def parsed(lines: list[bytes]) -> dict[str, list[str]]:
    records = [json.loads(line) for line in lines]
    return {name: [record[name] for record in records] for name in records[0]}


@given(st.lists(st.tuples(*[st.text(st.characters(codec="utf-8"))] * 2), min_size=1), st.booleans())
def test_lines_that_are_alike_are_what_the_parser_makes_of_them(
    texts: list[tuple[str, str]], ascii: bool
) -> None:
    lines = [json.dumps({"x": a, "y": b}, ensure_ascii=ascii).encode() + b"\n" for a, b in texts]
    found = columns(lines)
    if (
        all(text.isprintable() and not set('"\\') & set(text) for pair in texts for text in pair)
        and not ascii
    ):
        assert found is not None
    assert found is None or found == parsed(lines)


@given(st.lists(NOISE.map("".join), min_size=1))
@example(['{"a":"b"}{"a":"b"}', '{"a":', '"b"}'])
@example(['{"a":"b"},{"a":"b"}', '{"a":"b"}'])
@example(['{"a":"b', '"}'])
def test_nothing_is_taken_for_json_that_is_none(noise: list[str]) -> None:
    """Each line is cut at its first end, as reading does."""
    lines = [text.replace("\n", " ").encode() + b"\n" for text in noise if text.strip()]
    found = columns(lines) if lines else None
    if found is not None:
        assert found == parsed(lines)
        assert all(list(json.loads(line)) == list(found) for line in lines)


def test_ends_of_lines_and_spaces_do_not_matter() -> None:
    lines = [
        LINE.replace(b"\n", b"\r\n"),
        LINE.replace(b": ", b":\t"),
        b" " + LINE.replace(b",", b" ,"),
        LINE[:-1],
    ]
    assert columns(lines) == {"input": ["a red ball"] * 4, "edit": ["make it blue"] * 4}


@pytest.mark.parametrize(
    "line",
    [
        b'{"input": "a \\u00e9", "edit": "x"}\n',
        b'{"edit": "x", "input": "y"}\n',
        b'{"input": "x", "edit": 1}\n',
        b'{"input": "x", "edit": ["y"]}\n',
        b'{"input": "x", "input": "y"}\n',
        b'{"input": "x", "edit": "y", "more": "z"}\n',
        b'{"input": "caf\xe9", "edit": "x"}\n',
        b'{"input": "a\tb", "edit": "x"}\n',
        b'{"input": "a", "edit": "x",}\n',
        b'["input", "a", "edit", "x"]\n',
    ],
)
def test_whatever_is_not_alike_is_left_to_the_parser(line: bytes) -> None:
    assert columns([LINE, line]) is None
    assert columns([line, LINE]) is None
