from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import filters
from conf.sweeps import AdaptiveSweep, KindPrior
from p2p.sweep.tree import InjectionTiming, count_evaluations
from pipeline.config.resolve import checked, compose
from stages.candidates.adaptive import (
    ANY,
    Outcome,
    Trial,
    best_taus,
    learn_priors,
    make_trial,
    next_round,
    pass_chances,
    with_kind_prior,
)
from stages.candidates.scoring import CLIP_SCORES
from stages.generate import Generate
from stages.records import CaptionPair, Unit, instruction_kind_or_verb
from tests import runs

SETTINGS = AdaptiveSweep(
    seeds=12,
    taus=[0.0, 0.25, 0.5, 0.75, 1.0],
    prior=[0.2, 0.3, 0.4, 0.5, 0.5],
    prior_seeds=2.0,
    taus_per_seed=2,
    apart=0.3,
    reach=0.3,
    aim=0.1,
    aim_seeds=8,
    patience=6,
    lack=0.05,
    bisections=1,
    bracket=0.2,
)
THRESHOLDS = filters.Thresholds(0.2, 0.2, 0.2, 0.75)
OUTCOMES = st.sampled_from(Outcome)


def cost(taus: tuple[float, ...]) -> float:
    return count_evaluations(taus, InjectionTiming(1.0, 0.5, 12))


def trial(sample: int, tau: float, outcome: Outcome, direction: float = 0.0, lack: float = 0.0) -> Trial:
    return Trial(sample, tau, outcome, direction, lack)


@st.composite
def settings(draw: st.DrawFn) -> AdaptiveSweep:
    taus = draw(st.lists(st.sampled_from([k / 20 for k in range(21)]), min_size=1, max_size=6, unique=True))
    chance = st.floats(0, 1)
    return AdaptiveSweep(
        seeds=draw(st.integers(1, 12)),
        taus=taus,
        prior=draw(st.lists(chance, min_size=len(taus), max_size=len(taus))),
        prior_seeds=draw(st.floats(0.1, 8)),
        taus_per_seed=draw(st.integers(1, 3)),
        apart=draw(st.floats(0, 0.6)),
        reach=draw(st.floats(0.05, 1)),
        aim=draw(st.floats(0, 0.2)),
        aim_seeds=draw(st.integers(1, 12)),
        patience=draw(st.integers(1, 8)),
        lack=draw(st.floats(0, 0.2)),
        bisections=draw(st.integers(0, 3)),
        bracket=draw(st.floats(0.01, 0.5)),
    )


@st.composite
def trials(draw: st.DrawFn, seeds: Mapping[int, Sequence[float]]) -> list[Trial]:
    made = []
    for sample, taus in seeds.items():
        for tau in taus:
            outcome = draw(OUTCOMES)
            failed = outcome is not Outcome.passed
            made.append(
                trial(sample, tau, outcome, draw(st.floats(-0.3, 0.3)), draw(st.floats(0, 0.3)) * failed)
            )
    return made


@given(settings(), st.integers(1, 4), st.data())
def test_rounds_end_within_the_limits_and_repeat_no_candidate(
    chosen: AdaptiveSweep, share: int, data: st.DataObject
):
    history: list[Trial] = []
    for _ in range(chosen.seeds * (chosen.taus_per_seed + chosen.bisections) + 1):
        decision = next_round(history, chosen, share, cost)
        if not decision:
            break
        assert len(decision) <= share
        history += data.draw(trials(decision))
    else:
        raise AssertionError("the rounds do not end")
    candidates = [(tried.sample, tried.tau) for tried in history]
    assert len(set(candidates)) == len(candidates)
    samples = {tried.sample for tried in history}
    assert samples == set(range(len(samples)))
    assert len(samples) <= chosen.seeds
    most = chosen.taus_per_seed + chosen.bisections
    assert all(sum(sample == other for other, _ in candidates) <= most for sample in samples)
    passed = {tried.sample for tried in history if passes(tried)}
    convincing = {tried.sample for tried in history if passes(tried) and tried.direction >= chosen.aim}
    # A full pair has its share, all of it convincing or after aim_seeds; a hopeless one has nothing after its patience.
    full = len(passed) >= share and len(samples) >= min(chosen.aim_seeds, chosen.seeds)
    hopeless = not passed and len(samples) >= chosen.patience
    assert len(convincing) >= share or full or hopeless or len(samples) == chosen.seeds


def passes(tried: Trial) -> bool:
    return tried.outcome is Outcome.passed


@given(settings(), st.integers(1, 4))
def test_a_pair_is_full_once_its_share_of_seeds_convinces(chosen: AdaptiveSweep, share: int):
    assume(chosen.seeds >= share)
    decision = next_round([], chosen, share, cost)
    assert len(decision) == share
    history = [
        trial(sample, tau, Outcome.passed, chosen.aim) for sample, taus in decision.items() for tau in taus
    ]
    assert next_round(history, chosen, share, cost) == {}
    again = next_round(history[: -len(decision[share - 1])], chosen, share, cost)
    assert list(again) == [share - 1]


def test_two_passes_of_one_seed_count_once():
    history = [trial(0, tau, Outcome.passed, 0.2) for tau in (0.5, 1.0)]
    decision = next_round(history, SETTINGS, 2, cost)
    assert list(decision) == [1]


def test_a_full_pair_tries_on_for_the_aim_up_to_aim_seeds():
    history = [trial(k, 1.0, Outcome.passed, 0.05) for k in range(4)]
    assert list(next_round(history, SETTINGS, 4, cost)) == [4, 5, 6, 7]
    history += [trial(k, 1.0, Outcome.larger, -0.1, 0.1) for k in range(4, 8)]
    assert next_round(history, SETTINGS, 4, cost) == {}
    # Without its share the same number of seeds is not the end.
    assert list(next_round(history[1:], SETTINGS, 5, cost)) == [7, 8]


@pytest.mark.parametrize(("lack", "given_up"), [(0.06, True), (0.04, False)])
def test_a_pair_without_a_chance_is_hopeless(lack: float, given_up: bool):
    history = [trial(k, 1.0, Outcome.larger, -0.3, 0.3) for k in range(5)]
    assert next_round(history, SETTINGS, 4, cost)
    history.append(trial(5, 1.0, Outcome.smaller, -0.1, lack))
    assert (next_round(history, SETTINGS, 4, cost) == {}) == given_up
    passed = [*history, trial(6, 1.0, Outcome.passed)]
    assert next_round(passed, SETTINGS, 4, cost)


def test_a_seed_is_bisected_before_another_is_tried():
    history = [trial(0, 0.5, Outcome.larger), trial(0, 1.0, Outcome.smaller)]
    assert next_round(history, SETTINGS, 1, cost) == {0: (0.75,)}
    history.append(trial(0, 0.75, Outcome.larger))
    decision = next_round(history, replace(SETTINGS, bisections=2), 1, cost)
    assert decision == {0: (0.875,)}
    for chosen in (SETTINGS, replace(SETTINGS, bisections=2, bracket=0.3)):
        decision = next_round(history, chosen, 1, cost)
        assert list(decision) == [1], "no bisection is left, or the bracket is too narrow"


@pytest.mark.parametrize("outcome", [Outcome.passed, Outcome.measure, Outcome.source])
def test_a_seed_that_no_tau_can_help_is_not_bisected(outcome: Outcome):
    history = [trial(0, 0.2, Outcome.larger), trial(0, 1.0, Outcome.smaller), trial(0, 0.6, outcome)]
    decision = next_round(history, replace(SETTINGS, bisections=3), 2, cost)
    assert all(sample > 0 for sample in decision)


def test_without_trials_the_chances_are_the_prior():
    assert pass_chances([], SETTINGS) == SETTINGS.prior


def test_a_failed_source_does_not_count():
    seed = [trial(0, 0.5, Outcome.source), trial(0, 1.0, Outcome.source)]
    assert pass_chances([seed], SETTINGS) == SETTINGS.prior


@given(st.sampled_from(SETTINGS.taus), st.integers(1, 6))
def test_passes_raise_the_chance_of_a_tau_and_failures_lower_it(tau: float, count: int):
    k = SETTINGS.taus.index(tau)
    up = pass_chances([[trial(n, tau, Outcome.passed)] for n in range(count)], SETTINGS)
    down = pass_chances([[trial(n, tau, Outcome.larger)] for n in range(count)], SETTINGS)
    assert down[k] < SETTINGS.prior[k] < up[k]
    prior, weight = SETTINGS.prior[k], SETTINGS.prior_seeds
    assert up[k] == pytest.approx((weight * prior + count) / (weight + count))
    far = [n for n, other in enumerate(SETTINGS.taus) if abs(other - tau) >= SETTINGS.reach]
    assert all(up[n] == pytest.approx(SETTINGS.prior[n]) for n in far)


def test_the_next_seed_is_tried_where_the_pair_passed():
    history = [
        tried
        for n in range(4)
        for tried in (trial(n, 0.25, Outcome.passed, 0.05), trial(n, 1.0, Outcome.smaller, -0.1, 0.1))
    ]
    decision = next_round(history, replace(SETTINGS, taus_per_seed=1), 4, cost)
    assert set(decision.values()) == {(0.25,)}


@given(settings())
def test_the_tau_of_a_seed_are_apart_and_the_best_for_their_cost(chosen: AdaptiveSweep):
    taus = best_taus([], chosen, cost)
    assert 1 <= len(taus) <= chosen.taus_per_seed
    assert all(b - a >= chosen.apart - 1e-9 for a, b in pairwise(taus))
    prior = dict(zip(chosen.taus, chosen.prior, strict=True))
    failing = 1.0
    for tau in taus:
        failing *= 1 - prior[tau]
    for tau in chosen.taus:
        assert (1 - failing) / cost(taus) >= prior[tau] / cost((tau,)) - 1e-12


def test_a_second_tau_is_tried_only_if_it_is_cheap():
    assert len(best_taus([], SETTINGS, lambda taus: 10 + len(taus))) == 2
    assert best_taus([], SETTINGS, lambda taus: len(taus)) == (1.0,), "the largest among equals"


@pytest.mark.parametrize(
    ("scores", "reason", "outcome", "lack"),
    [
        ((0.3, 0.3, 0.3, 0.8), "", Outcome.passed, 0.0),
        ((0.1, 0.3, 0.3, 0.7), "clip_sim_0", Outcome.source, 0.1),
        ((0.3, 0.3, 0.3, 0.7), "clip_sim_image", Outcome.larger, 0.05),
        ((0.3, 0.3, 0.1, 0.7), "clip_sim_dir", Outcome.larger, 0.1),
        ((0.3, 0.3, 0.1, 0.8), "clip_sim_dir", Outcome.smaller, 0.1),
        ((0.3, 0.15, 0.3, 0.8), "clip_sim_1", Outcome.smaller, 0.05),
        ((0.3, 0.3, 0.3, 0.8), "ssim", Outcome.measure, 0.0),
    ],
)
def test_scores_and_reason_give_the_outcome(
    scores: tuple[float, ...], reason: str, outcome: Outcome, lack: float
):
    trial = make_trial(3, 0.5, dict(zip(CLIP_SCORES, scores, strict=True)), reason, THRESHOLDS)
    assert (trial.sample, trial.tau, trial.outcome) == (3, 0.5, outcome)
    assert trial.lack == pytest.approx(lack)
    assert trial.direction == pytest.approx(scores[2] - 0.2)


PRIOR_TAUS = (0.0, 0.5, 1.0)


def adaptive(*more: str) -> AdaptiveSweep:
    sweep = checked(
        compose(["sweep=adaptive", f"sweep.taus={list(PRIOR_TAUS)}", "sweep.prior=[0.5,0.5,0.5]", *more])
    ).sweep
    assert isinstance(sweep, AdaptiveSweep)
    return sweep


def seed_of(sample: int, passed: tuple[bool, ...]) -> list[Trial]:
    outcomes = (Outcome.passed if passes else Outcome.smaller for passes in passed)
    return [Trial(sample, tau, outcome, 0.1, 0.0) for tau, outcome in zip(PRIOR_TAUS, outcomes, strict=True)]


def learn(tried: dict[str, list[list[Trial]]], settings: AdaptiveSweep) -> dict[str, list[float]]:
    return {prior.kind: prior.prior for prior in learn_priors(tried, settings)}


def test_the_kind_is_the_record_s_or_the_first_word():
    assert instruction_kind_or_verb(CaptionPair("a", "Make it blue", "b")) == "make"
    assert instruction_kind_or_verb(CaptionPair("a", "make it blue", "b", '{"kind": "colour"}')) == "colour"
    assert instruction_kind_or_verb(CaptionPair("a", "make it blue", "b", '{"edit_kind": "sky"}')) == "sky"
    assert instruction_kind_or_verb(CaptionPair("a", "", "b")) == ""


SWEEP = adaptive()


@given(
    tried=st.dictionaries(
        st.sampled_from(["sky", "style", "colour"]),
        st.lists(st.tuples(*[st.booleans()] * 3).map(lambda passed: seed_of(0, passed)), max_size=6),
        max_size=3,
    )
)
def test_a_prior_lies_between_the_rates_of_all_and_of_its_kind(tried: dict[str, list[list[Trial]]]):
    priors = learn(tried, SWEEP)
    assert priors.keys() == {ANY, *tried}
    for kind, seeds in tried.items():
        for k in range(len(PRIOR_TAUS)):
            share = sum(passes[k].outcome is Outcome.passed for passes in seeds) / max(1, len(seeds))
            low, high = sorted([priors[ANY][k], share if seeds else priors[ANY][k]])
            assert low - 1e-3 <= priors[kind][k] <= high + 1e-3


def test_the_prior_of_many_seeds_is_their_pass_rate():
    many = [seed_of(n, (False, n % 2 == 0, True)) for n in range(1000)]
    priors = learn({"sky": many, "style": [seed_of(0, (True, False, False))]}, adaptive("sweep.reach=0.2"))
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
