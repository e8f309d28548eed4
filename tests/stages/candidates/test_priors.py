from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.sweeps import AdaptiveSweep, KindPrior
from pipeline.config.resolve import checked, compose
from stages.candidates.adaptive import Outcome, Trial, pass_chances
from stages.candidates.priors import ANY, learn_priors, with_kind_prior
from stages.generate import Generate
from stages.records import CaptionPair, Unit, instruction_kind_or_verb
from tests import runs

TAUS = (0.0, 0.5, 1.0)


def adaptive(*more: str) -> AdaptiveSweep:
    sweep = checked(
        compose(["sweep=adaptive", f"sweep.taus={list(TAUS)}", "sweep.prior=[0.5,0.5,0.5]", *more])
    ).sweep
    assert isinstance(sweep, AdaptiveSweep)
    return sweep


def seed(sample: int, passed: tuple[bool, ...]) -> list[Trial]:
    outcomes = (Outcome.passed if passes else Outcome.smaller for passes in passed)
    return [Trial(sample, tau, outcome, 0.1, 0.0) for tau, outcome in zip(TAUS, outcomes, strict=True)]


def learn(tried: dict[str, list[list[Trial]]], settings: AdaptiveSweep) -> dict[str, list[float]]:
    return {prior.kind: prior.prior for prior in learn_priors(tried, settings)}


def test_the_kind_is_the_record_s_or_the_first_word():
    assert instruction_kind_or_verb(CaptionPair("a", "Make it blue", "b")) == "make"
    assert instruction_kind_or_verb(CaptionPair("a", "make it blue", "b", '{"kind": "colour"}')) == "colour"
    assert instruction_kind_or_verb(CaptionPair("a", "make it blue", "b", '{"edit_kind": "sky"}')) == "sky"
    assert instruction_kind_or_verb(CaptionPair("a", "", "b")) == ""


@given(
    tried=st.dictionaries(
        st.sampled_from(["sky", "style", "colour"]),
        st.lists(st.tuples(*[st.booleans()] * 3).map(lambda passed: seed(0, passed)), max_size=6),
        max_size=3,
    )
)
def test_a_prior_lies_between_the_rates_of_all_and_of_its_kind(tried: dict[str, list[list[Trial]]]):
    settings = adaptive()
    priors = learn(tried, settings)
    assert priors.keys() == {ANY, *tried}
    for kind, seeds in tried.items():
        for k in range(len(TAUS)):
            share = sum(passes[k].outcome is Outcome.passed for passes in seeds) / max(1, len(seeds))
            low, high = sorted([priors[ANY][k], share if seeds else priors[ANY][k]])
            assert low - 1e-3 <= priors[kind][k] <= high + 1e-3


def test_the_prior_of_many_seeds_is_their_pass_rate():
    many = [seed(n, (False, n % 2 == 0, True)) for n in range(1000)]
    priors = learn({"sky": many, "style": [seed(0, (True, False, False))]}, adaptive("sweep.reach=0.2"))
    assert priors["sky"] == pytest.approx([0, 0.5, 1], abs=0.01)
    assert priors["style"][0] > priors["sky"][0]


def test_a_pair_has_the_prior_of_its_kind():
    settings = adaptive("sweep.priors=[{kind:make,prior:[0.1,0.2,0.3]},{kind:sky,prior:[0.9,0.9,0.9]}]")
    pair = CaptionPair("a", "make it blue", "b")
    assert (
        with_kind_prior(settings, pair).prior
        == [0.1, 0.2, 0.3]
        == pass_chances([], with_kind_prior(settings, pair))
    )
    other = CaptionPair("a", "add a boat", "b")
    assert with_kind_prior(settings, other).prior == [0.5, 0.5, 0.5]
    settings.priors.append(KindPrior(ANY, [0.7, 0.6, 0.5]))
    assert with_kind_prior(settings, other).prior == [0.7, 0.6, 0.5]


def test_the_first_tau_depends_on_the_kind(sd1_folder: Path, clip_folder: Path):
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
