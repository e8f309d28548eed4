from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.captions import CaptionsError, CaptionSource, open_captions
from stages.captions.blocklist import blocklist_check, load_blocklist
from stages.records import CaptionPair, Quarantined


def why(text: str, *blocked: str, field: str = "input") -> str:
    texts = {"input": "1", "edit": "2", "output": "3", field: text}
    return blocklist_check(load_blocklist(blocked, None))(CaptionPair(**texts), "f")


@pytest.mark.parametrize(
    ("text", "blocked", "found"),
    [
        ("some ART here", "art", "art"),
        ("a cart of parts", "art", ""),
        ("the arts", "art", ""),
        ("art-house", "art", "art"),
        ("a red\u00a0  Light!", "Red light", "red light"),
        ("in red lights", "red light", ""),
        ("STRASSE", "straße", "strasse"),
        ("100% c++ code", "c++", "c++"),
        ("c+ code", "c++", ""),
        ("été", "ete", ""),
    ],
)
def test_whole_words_are_found_in_any_case(text: str, blocked: str, found: str):
    reason = why(text, blocked)
    assert reason == (f"the input caption has {found!r}, which captions.block blocks" if found else "")


@pytest.mark.parametrize(
    ("field", "name"), [("input", "input caption"), ("edit", "instruction"), ("output", "output caption")]
)
def test_the_reason_names_the_text_and_the_longest_phrase(field: str, name: str):
    assert why("a red light", "red", "red light", field=field).startswith(f"the {name} has 'red light'")


@given(
    st.lists(st.text("abc", min_size=1, max_size=3), max_size=6),
    st.lists(st.text("abc", min_size=1), min_size=1),
)
def test_it_is_what_comparing_words_says(blocked: list[str], words: list[str]):
    assert bool(why(" ".join(words), *blocked)) == bool(set(blocked) & set(words))


def test_a_list_and_a_file_make_one_list(tmp_path: Path):
    (tmp_path / "words.txt").write_text("Blood\n\n  red   LIGHT \nblood\n", "utf-8-sig")
    assert load_blocklist(["gore", "Gore"], str(tmp_path / "words.txt")) == ("blood", "gore", "red light")
    with pytest.raises(CaptionsError, match=r"captions\.block_file=.*none\.txt cannot be read"):
        load_blocklist([], str(tmp_path / "none.txt"))
    with pytest.raises(CaptionsError, match="' - ', which is no word"):
        load_blocklist([" - "], None)


def test_the_limit_does_not_count_blocked_pairs(tmp_path: Path):
    rows = [
        {"input": f"a {word} ball", "edit": "e", "output": "o"} for word in ("red", "bloody", "blue", "green")
    ]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = CaptionSource("auto", str(tmp_path / "pairs.jsonl"), limit=2)
    first, second, third = open_captions(source, [blocklist_check(load_blocklist(["bloody"], None))])
    assert (first.line, third.line) == (1, 3)
    assert isinstance(first, CaptionPair)
    assert isinstance(third, CaptionPair)
    assert isinstance(second, Quarantined)
    assert (second.line, "captions.block" in second.reason) == (2, True)
