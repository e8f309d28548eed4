from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.sweeps import AdaptiveSweep, KindPrior
from pipeline.config.resolve import checked, compose
from stages.candidates.adaptive import Outcome, Tried, chances
from stages.candidates.priors import ANY, learnt, own_prior
from stages.generate import Generate
from stages.kinds import kind_of_edit
from stages.records import CaptionPair, Unit
from tests import runs

TAUS = (0.0, 0.5, 1.0)


def adaptive(*more: str) -> AdaptiveSweep:
    sweep = checked(
        compose(["sweep=adaptive", f"sweep.taus={list(TAUS)}", "sweep.prior=[0.5,0.5,0.5]", *more])
    ).sweep
    assert isinstance(sweep, AdaptiveSweep)
    return sweep


def seed(sample: int, passed: tuple[bool, ...]) -> list[Tried]:
    outcomes = (Outcome.passed if own else Outcome.smaller for own in passed)
    return [Tried(sample, tau, outcome, 0.1, 0.0) for tau, outcome in zip(TAUS, outcomes, strict=True)]


def by_kind(tried: dict[str, list[list[Tried]]], settings: AdaptiveSweep) -> dict[str, list[float]]:
    return {one.kind: one.prior for one in learnt(tried, settings)}


def test_a_kind_is_the_line_s_or_the_instruction_s_first_word():
    assert kind_of_edit(CaptionPair("a", "Make it blue", "b")) == "make"
    assert kind_of_edit(CaptionPair("a", "make it blue", "b", '{"kind": "colour"}')) == "colour"
    assert kind_of_edit(CaptionPair("a", "make it blue", "b", '{"edit_kind": "sky"}')) == "sky"
    assert kind_of_edit(CaptionPair("a", "", "b")) == ""


@given(
    tried=st.dictionaries(
        st.sampled_from(["sky", "style", "colour"]),
        st.lists(st.tuples(*[st.booleans()] * 3).map(lambda passed: seed(0, passed)), max_size=6),
        max_size=3,
    )
)
def test_it_is_between_what_all_kinds_came_to_and_what_its_own_did(tried: dict[str, list[list[Tried]]]):
    settings = adaptive()
    found = by_kind(tried, settings)
    assert found.keys() == {ANY, *tried}
    for kind, seeds in tried.items():
        for k in range(len(TAUS)):
            share = sum(own[k].outcome is Outcome.passed for own in seeds) / max(1, len(seeds))
            low, high = sorted([found[ANY][k], share if seeds else found[ANY][k]])
            assert low - 1e-3 <= found[kind][k] <= high + 1e-3


def test_a_kind_of_many_seeds_is_what_they_came_to():
    many = [seed(n, (False, n % 2 == 0, True)) for n in range(1000)]
    found = by_kind({"sky": many, "style": [seed(0, (True, False, False))]}, adaptive("sweep.reach=0.2"))
    assert found["sky"] == pytest.approx([0, 0.5, 1], abs=0.01)
    assert found["style"][0] > found["sky"][0]


def test_a_pair_is_held_to_its_kind_s_prior():
    settings = adaptive("sweep.priors=[{kind:make,prior:[0.1,0.2,0.3]},{kind:sky,prior:[0.9,0.9,0.9]}]")
    pair = CaptionPair("a", "make it blue", "b")
    assert own_prior(settings, pair).prior == [0.1, 0.2, 0.3] == chances([], own_prior(settings, pair))
    other = CaptionPair("a", "add a boat", "b")
    assert own_prior(settings, other).prior == [0.5, 0.5, 0.5]
    settings.priors.append(KindPrior(ANY, [0.7, 0.6, 0.5]))
    assert own_prior(settings, other).prior == [0.7, 0.6, 0.5]


def test_what_is_tried_first_goes_by_the_kind(sd1_folder: Path, clip_folder: Path):
    sweep = (
        "sweep=adaptive",
        "sweep.taus=[0.0,0.5,1.0]",
        "sweep.prior=[0.5,0.5,0.5]",
        "sweep.taus_per_seed=1",
        "sweep.aim=0",
        "filter.max_per_pair=1",
        "sampler.guidance=3.0",
        "sweep.priors=[{kind:add,prior:[0.9,0.1,0.1]},{kind:put,prior:[0.1,0.9,0.1]}]",
    )
    result = Generate(runs.config(sd1_folder, clip_folder, *sweep), "f" * 64)(Unit(0, runs.PAIRS[2:]))
    first = {c.pair_id: c.tau for c in result.candidates if c.sample_index == 0}
    verbs = {pair.edit.split()[0]: first[pair.id] for pair in runs.PAIRS[2:]}
    assert (verbs["add"], verbs["put"]) == (0.0, 0.5)
