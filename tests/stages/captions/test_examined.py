from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from stages.captions import Block, CaptionSource, open_blocks, open_captions, reader
from stages.captions.examined import Examined, Rules, examine_by, examiner
from stages.records import CaptionPair, Quarantined

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(str.strip)
PAIRS = st.lists(
    st.tuples(TEXTS, TEXTS, TEXTS, st.dictionaries(st.sampled_from(["url", "n"]), TEXTS)), max_size=8
)


def blocks_of(path: Path, rows: Sequence[object]) -> list[Block]:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return list(open_blocks(CaptionSource("jsonl", str(path))))


def read(block: Block) -> list[CaptionPair | str]:
    return reader({}, False)(block)


def without(letter: str, pairs: Sequence[CaptionPair]) -> list[str]:
    return [f"it has {letter}" if letter in pair.input else "" for pair in pairs]


@given(PAIRS, st.booleans())
def test_every_row_is_a_pair_or_set_aside_by_the_first_check_that_says_so(
    tmp_path_factory, rows: list[tuple[str, str, str, dict[str, str]]], bad: bool
):
    path = tmp_path_factory.mktemp("rows") / "pairs.jsonl"
    records = [{"input": a, "edit": b, "output": c, **more} for a, b, c, more in rows] + [7] * bad
    blocks = blocks_of(path, records)
    examine = examine_by(read, lambda pairs: without("a", pairs), lambda pairs: without("e", pairs))
    found = [pickle.loads(pickle.dumps(examine(block))) for block in blocks]
    pairs = [pair for one in found for pair in one.pairs]
    aside = {item.line: item.reason for one in found for item in one.aside}
    every = list(open_captions(CaptionSource("jsonl", str(path))))
    assert sorted([*aside, *(pair.line for pair in pairs)]) == [one.line for one in every]
    for one in every:
        letters = [letter for letter in "ae" if isinstance(one, CaptionPair) and letter in one.input]
        if isinstance(one, Quarantined):
            assert aside[one.line] == one.reason
        elif letters:
            assert aside[one.line] == f"it has {letters[0]}"
        else:
            assert one in pairs


@given(PAIRS)
def test_columns_are_those_of_the_pairs(tmp_path_factory, rows: list[tuple[str, str, str, dict[str, str]]]):
    path = tmp_path_factory.mktemp("rows") / "pairs.jsonl"
    for block in blocks_of(path, [{"input": a, "edit": b, "output": c, **more} for a, b, c, more in rows]):
        columns = examine_by(read)(block).pairs
        pairs = list(columns)
        assert columns.names == [pair.id for pair in pairs]
        assert list(columns.texts) == [pair.text for pair in pairs]
        assert list(columns.metas) == [pair.meta for pair in pairs]
        assert list(columns.lines) == [pair.line for pair in pairs]
        odd = columns.select(range(1, len(columns), 2))
        assert (list(odd), odd.names) == (pairs[1::2], columns.names[1::2])


def test_rules_have_the_model_s_own_tokenizer_count(sd1_folder: Path, tmp_path: Path):
    long = {"input": "hexagon " * 90, "edit": "e", "output": "o"}
    rows = [
        long,
        {"input": "a bloody ball", "edit": "e", "output": "o"},
        {"input": "a", "edit": "e", "output": "o"},
    ]
    (block,) = blocks_of(tmp_path / "pairs.jsonl", rows)

    def found(cut: bool) -> Examined:
        return examiner(Rules({}, False, ("bloody",), (sd1_folder,), cut))(block)

    assert [pair.line for pair in found(False).pairs] == [3]
    assert [pair.line for pair in found(True).pairs] == [1, 3]
    first, second = found(False).aside
    assert "the model's text encoder takes 20" in first.reason
    assert "captions.block blocks" in second.reason
