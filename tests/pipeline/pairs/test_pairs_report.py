from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pipeline.dataset.funnel import Funnel
from pipeline.pairs.pairs_report import Sample, Tally, difference, diversity, html
from stages.records import WrittenPair

KEPT = WrittenPair("a", 0, 1, "a <ball>", "make it blue", "a blue ball", True, "", "", "{}")
TEXTS = st.lists(st.sampled_from(["a", "red", "blue", "ball", "box", "on"])).map(" ".join)


def test_verbs_lengths_and_diversity_are_those_of_the_kept_alone() -> None:
    tally = Tally(shown=2)
    answers = [KEPT, replace(KEPT, instruction="Make it red!"), replace(KEPT, instruction="add a tree to it")]
    answers += [replace(KEPT, kept=False, reason="blocked", instruction="make x")] * 5
    for answer in answers:
        tally.add(answer)
    assert tally.verbs == Counter({"make": 2, "add": 1})
    assert tally.tried == Counter({"make": 7, "add": 1})
    assert tally.lengths == Counter({3: 2, 5: 1})
    assert [share for _, share in diversity(tally)] == ["100.0%", f"{8 / 11:.1%}", f"{7 / 8:.1%}", "2"]
    assert len(tally.examples.answers()) == 2
    assert len(tally.refused["blocked"].answers()) == 3


@given(st.integers(0, 9), st.permutations(range(30)))
def test_the_sample_does_not_depend_on_the_order(count: int, order: list[int]) -> None:
    drawn, sorted_ = Sample(count), Sample(count)
    for number in order:
        drawn.add(replace(KEPT, pair_id=str(number)))
    for number in range(30):
        sorted_.add(replace(KEPT, pair_id=str(number)))
    names = [answer.pair_id for answer in drawn.answers()]
    assert set(names) == {answer.pair_id for answer in sorted_.answers()}
    assert len(names) == count
    assert names == [str(number) for number in order if str(number) in names]


@given(TEXTS, TEXTS)
def test_a_difference_keeps_every_word_and_marks_changes(before: str, after: str) -> None:
    one, other = difference(before, after)
    assert " ".join(text for text, _ in one) == before
    assert " ".join(text for text, _ in other) == after
    assert [text for text, marked in one if not marked] == [text for text, marked in other if not marked]
    assert before != after or not any(marked for _, marked in [*one, *other])


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
