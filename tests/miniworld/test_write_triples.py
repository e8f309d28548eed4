from __future__ import annotations

import json
from pathlib import Path

from miniworld.check_pair import Verdict, judge
from miniworld.triples import COUNT, draw_triples
from miniworld.write_triples import main


def test_a_line_is_written_for_each_triple(tmp_path: Path) -> None:
    path = tmp_path / "made" / "triples.jsonl"
    main([str(path), "--count", "40"])
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines == [edit.as_line() for edit in draw_triples(40)]
    assert all(judge(line["input"], line["edit"], line["output"]) is Verdict.right for line in lines)


def test_the_default_is_the_paper_s_number(tmp_path: Path) -> None:
    main([str(tmp_path / "triples.jsonl")])
    assert len((tmp_path / "triples.jsonl").read_text().splitlines()) == COUNT == 700
