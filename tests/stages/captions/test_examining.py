from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from p2p import ModelError
from stages.captions import Block, CaptionSource, examining, jsonl, open_blocks
from stages.captions.examined import Rules, examiner
from stages.captions.examining import Helper, examined
from stages.captions.source_record import Row, Rows

ROWS = 4_000


@pytest.fixture
def blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Block]:
    """Some two hundred, with a bad line in each."""
    monkeypatch.setattr(jsonl, "_PIECE", 2_000)
    path = tmp_path / "pairs.jsonl"
    rows = [
        "7"
        if n % 10 == 3
        else json.dumps({"input": f"a ball {n}", "edit": "e", "output": f"a box {n}", "n": n})
        for n in range(ROWS)
    ]
    path.write_text("\n".join(rows))
    return list(open_blocks(CaptionSource("jsonl", str(path))))


@pytest.fixture
def rules(sd1_folder: Path) -> Rules:
    return Rules({}, False, (), (str(sd1_folder),))


@pytest.fixture
def helpers(monkeypatch: pytest.MonkeyPatch) -> list[Helper]:
    """Those that are started, on a machine of two processors."""
    made = list[Helper]()

    class Noted(Helper):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments)  # type: ignore[arg-type]
            made.append(self)

    monkeypatch.setattr(examining, "Helper", Noted)
    monkeypatch.setattr(examining, "_processors", lambda: 2)
    return made


def patient(blocks: list[Block], helpers: list[Helper]) -> Iterator[Block]:
    """The blocks, the last half of them once the helpers are there."""
    for number, block in enumerate(blocks):
        if number == len(blocks) // 2:
            for helper in helpers:
                assert helper._link
                assert helper._link.poll(120)
        yield block


def test_helpers_find_what_is_found_alone(blocks: list[Block], rules: Rules, helpers: list[Helper]):
    found = list(examined(patient(blocks, helpers), rules))
    here = examiner(rules)
    assert [block for block, _ in found] == blocks
    assert [one for _, one in found] == [here(block) for block in blocks]
    assert len(helpers) == 2
    assert not any(psutil.pid_exists(helper.process.pid) for helper in helpers)


def test_a_short_input_asks_nobody(blocks: list[Block], rules: Rules, helpers: list[Helper]):
    assert len(list(examined(iter(blocks[: examining.ALONE]), rules))) == examining.ALONE
    assert not helpers


def test_one_processor_has_nobody_to_ask(
    blocks: list[Block], rules: Rules, helpers: list[Helper], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(examining, "_processors", lambda: 1)
    assert [block for block, _ in examined(iter(blocks), rules)] == blocks
    assert not helpers


def test_nothing_is_lost_with_a_helper_that_is_killed(
    blocks: list[Block], rules: Rules, helpers: list[Helper]
):
    found = []
    for block, one in examined(patient(blocks, helpers), rules):
        found.append((block, one))
        if len(found) == len(blocks) // 2 + 10:
            os.kill(helpers[0].process.pid, signal.SIGKILL)
    here = examiner(rules)
    assert found == [(block, here(block)) for block in blocks]


def test_who_stops_early_leaves_no_process(blocks: list[Block], rules: Rules, helpers: list[Helper]):
    reading = examined(patient(blocks, helpers), rules)
    for _ in range(len(blocks) // 2 + 10):
        next(reading)
    reading.close()
    assert len(helpers) == 2
    assert not any(psutil.pid_exists(helper.process.pid) for helper in helpers)


def test_a_helper_that_cannot_begin_leaves_the_work_here(blocks: list[Block], rules: Rules, tmp_path: Path):
    elsewhere = Rules({}, False, (), (str(tmp_path / "none"),))
    here = examiner(rules)
    helper = Helper(here, elsewhere)
    assert helper._link
    assert helper._link.poll(120)
    assert helper.is_ready()
    assert helper(blocks[0]) == here(blocks[0])
    assert not psutil.pid_exists(helper.process.pid)


def test_what_cannot_be_sent_is_examined_here(rules: Rules):
    here = examiner(rules)
    record = {"input": "a ball", "edit": "e", "output": "a box"}
    with closing(Helper(here, rules)) as helper:
        sent, kept = (Rows([Row("f", 1, {**record, "more": more})]) for more in ("x", lambda: None))
        assert helper(kept) == here(kept)
        assert helper._link
        assert helper._link.poll(120)
        assert helper.is_ready()
        assert helper(sent) == here(sent)
        assert psutil.pid_exists(helper.process.pid)


def test_a_tokenizer_that_is_not_there_is_an_error_at_once(blocks: list[Block], tmp_path: Path):
    with pytest.raises(ModelError, match="none"):
        examined(iter(blocks), Rules({}, False, (), (str(tmp_path / "none"),)))
