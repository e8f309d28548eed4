from __future__ import annotations

from collections import Counter
from dataclasses import replace

from pipeline.funnel import Funnel
from pipeline.pairs.report import Tally, diversity, html
from stages.answers import WrittenPair

KEPT = WrittenPair("a", 0, 1, "a <ball>", "make it blue", "a blue ball", True, "", "", "{}")


def test_verbs_lengths_and_diversity_are_those_of_the_kept_alone() -> None:
    tally = Tally()
    answers = [KEPT, replace(KEPT, instruction="Make it red!"), replace(KEPT, instruction="add a tree to it")]
    answers += [replace(KEPT, kept=False, reason="blocked", instruction="remove x")] * 5
    for answer in answers:
        tally.add(answer, shown=2)
    assert tally.verbs == Counter({"make": 2, "add": 1})
    assert tally.lengths == Counter({3: 2, 5: 1})
    assert dict(diversity(tally)) == {
        "different instructions": "100.0%",
        "distinct-1, of words": f"{8 / 11:.1%}",
        "distinct-2, of pairs of words": f"{7 / 8:.1%}",
        "different verbs": "2",
    }
    assert tally.examples == answers[:2]
    assert len(tally.refused["blocked"]) == 3


def test_the_page_shows_both_and_escapes_what_was_written() -> None:
    tally = Tally()
    for answer in (KEPT, replace(KEPT, kept=False, reason="no_json", text="<script>alert()</script>")):
        tally.add(answer, shown=5)
    funnel = Funnel(read=2, pairs=1, candidates=2, samples=1, pairs_kept=1, rejected={"no_json": 1})
    page = html(funnel, tally, "grammar")
    assert "a &lt;ball&gt;" in page
    assert "&lt;script&gt;" in page
    assert "<script>" not in page
    assert "malformed: no JSON object" in page
    assert "50.0%" in page


def test_a_run_that_kept_nothing_has_a_page() -> None:
    assert "There are none." in html(Funnel(), Tally(), "x")
