from __future__ import annotations

from dataclasses import replace

from pipeline.dataset.funnel import Funnel
from pipeline.pairs.answer_statistics import Tally
from pipeline.pairs.pairs_report import html
from tests.pipeline.pairs.test_answer_statistics import KEPT


def test_the_page_shows_both_and_escapes_what_was_written() -> None:
    tally = Tally(shown=5)
    refused = replace(KEPT, kept=False, reason="no_json", text="<script>alert()</script>")
    for answer in (KEPT, replace(KEPT, pair_id="b"), refused):
        tally.add(answer)
    funnel = Funnel(read=2, pairs=1, candidates=3, samples=2, pairs_kept=1, rejected={"no_json": 1})
    page = html(funnel, tally, "grammar")
    assert "<del>&lt;ball&gt;</del>" in page
    assert "a <ins>blue ball</ins>" in page
    assert "&lt;script&gt;" in page
    assert "<script>" not in page
    assert "malformed: no JSON object <small>1</small>" in page
    assert "make <small>it blue · 67% of 3 kept</small>" in page
    # Twice the same instruction: it is told of.
    assert "Most frequent instructions" in page
    assert "33.3%" in page


def test_a_run_that_kept_nothing_has_a_page() -> None:
    assert html(Funnel(), Tally(), "x").count(">None.<") == 2
