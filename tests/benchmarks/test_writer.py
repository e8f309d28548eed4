"""The benchmark's measure, on drawn answers."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.writer import rate
from miniworld.language import caption
from miniworld.triples import drawn_triples
from miniworld.write_triples import main as write_triples
from stages.writers.format import CompletionFormat


def test_true_answers_are_right_and_false_ones_are_told_apart() -> None:
    completion = CompletionFormat()
    drawn = list(drawn_triples(40))
    captions = [caption(edit.before) for edit in drawn]
    true = [completion.completion(edit.instruction, caption(edit.after)) for edit in drawn]
    found = rate(captions, true)
    assert (found.parsed, found.sayable, found.right) == (1, 1, 1)
    assert found.instructions == len({edit.instruction for edit in drawn})

    unchanged = [completion.completion(edit.instruction, caption(edit.before)) for edit in drawn]
    strange = [completion.completion("fly to the moon", caption(edit.after)) for edit in drawn]
    halves = true[:10] + unchanged[10:20] + strange[20:30] + [answer[:-4] for answer in true[30:]]
    found = rate(captions, halves)
    assert (found.parsed, found.sayable, found.right) == (0.75, 0.5, 0.25)


def test_triples_are_written_a_line_each(tmp_path: Path) -> None:
    write_triples([str(tmp_path / "a" / "t.jsonl"), "--count", "9"])
    lines = [json.loads(line) for line in (tmp_path / "a" / "t.jsonl").read_text().splitlines()]
    assert lines == [edit.as_line() for edit in drawn_triples(9)]
