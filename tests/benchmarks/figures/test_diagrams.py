from __future__ import annotations

from dataclasses import fields

from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot as plt

from benchmarks.figures import diagrams
from filters.choice import MAX_PER_PAIR, OTHER_TAU_OF_SEED
from filters.clip.clip_similarity import ClipScores
from p2p.sweep.tree import InjectionTiming, count_evaluations, grow_branches, make_schedules
from pipeline.dataset.funnel import Funnel

TAUS = st.lists(st.floats(0, 1), min_size=1, max_size=6, unique=True)


@given(taus=TAUS, steps=st.integers(1, 30), self_gain=st.sampled_from([0.0, 0.5, 1.0]))
def test_stretches_cover_the_evaluations_of_the_tree(taus: list[float], steps: int, self_gain: float):
    timing = InjectionTiming(1.0, self_gain, steps)
    branches = list(diagrams.stretches(grow_branches(make_schedules(taus, (), timing))))
    edits = sum(len(stretch.branch.injections) for stretch in branches)
    assert edits + steps == count_evaluations(taus, timing)
    ends = [stretch for stretch in branches if stretch.ends >= 0]
    assert all(stretch.branch.stop == steps for stretch in ends)
    assert sorted(member for stretch in ends for member in stretch.branch.members) == list(range(len(taus)))


def test_tree_title_tells_evaluations():
    figure = diagrams.tree((0.5, 1.0), 10, 1.0, 1.0)
    # The source's 10, a trunk of 5, and two ends of 5; one by one two sources and two edits.
    assert figure.axes[0].get_title(loc="left").endswith("25 evaluations as a tree, 40 one by one")
    plt.close(figure)


def test_funnel_ends_with_kept_samples():
    figure = diagrams.funnel(
        Funnel(pairs=3, candidates=60, rejected={"other_tau_of_seed": 10, "clip_sim_1": 38}, samples=12)
    )
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == ["60", "22   (−38)", "12 kept   (−10)"]
    plt.close(figure)


def test_commit_diagram_has_all_steps():
    figure = diagrams.commit()
    texts = {text.get_text() for text in figure.axes[0].texts}
    assert {"plan", "part", "commit", "pack", "unit 1 → attempt c"} <= texts
    plt.close(figure)


def test_funnel_has_all_reasons_of_choice():
    reasons = {field.name for field in fields(ClipScores)} | {OTHER_TAU_OF_SEED, MAX_PER_PAIR}
    assert diagrams.REMAINING.keys() == reasons
