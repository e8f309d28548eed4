from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from conf.sweeps import AdaptiveSweep
from p2p.sweep.tree import evaluations
from stages.candidates.adaptive import Ask, Outcome, Stop, Tried, chances, next_round, promising

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
OUTCOMES = st.sampled_from(Outcome)


def cost(taus: tuple[float, ...]) -> float:
    return evaluations(taus, 1.0, 0.5, 12)


def tried(sample: int, tau: float, outcome: Outcome, direction: float = 0.0, lack: float = 0.0) -> Tried:
    return Tried(sample, tau, outcome, direction, lack)


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
def judged(draw: st.DrawFn, asked: Sequence[Ask]) -> list[Tried]:
    made = []
    for ask in asked:
        for tau in ask.taus:
            outcome = draw(OUTCOMES)
            failed = outcome is not Outcome.passed
            made.append(
                tried(ask.sample, tau, outcome, draw(st.floats(-0.3, 0.3)), draw(st.floats(0, 0.3)) * failed)
            )
    return made


@given(settings(), st.integers(1, 4), st.data())
def test_it_ends_asks_for_nothing_twice_and_for_no_more_than_it_may(
    chosen: AdaptiveSweep, share: int, data: st.DataObject
):
    history: list[Tried] = []
    for _ in range(chosen.seeds * (chosen.taus_per_seed + chosen.bisections) + 1):
        asked = next_round(history, chosen, share, cost)
        if isinstance(asked, Stop):
            break
        assert asked
        assert len({ask.sample for ask in asked}) == len(asked) <= share
        history += data.draw(judged(asked))
    else:
        raise AssertionError("it goes on")
    candidates = [(one.sample, one.tau) for one in history]
    assert len(set(candidates)) == len(candidates)
    samples = {one.sample for one in history}
    assert samples == set(range(len(samples)))
    assert len(samples) <= chosen.seeds
    most = chosen.taus_per_seed + chosen.bisections
    assert all(sum(sample == one for one, _ in candidates) <= most for sample in samples)
    passed = {one.sample for one in history if one.outcome is Outcome.passed}
    if asked is Stop.full:
        assert len(passed) >= share
    elif asked is Stop.hopeless:
        assert not passed
        assert len(samples) >= chosen.patience
    else:
        # With its share it stops at the latest after aim_seeds.
        assert len(samples) >= (chosen.aim_seeds if len(passed) >= share else chosen.seeds)


@given(settings(), st.integers(1, 4))
def test_it_stops_once_the_share_of_seeds_convinces(chosen: AdaptiveSweep, share: int):
    assume(chosen.seeds >= share)
    asked = next_round([], chosen, share, cost)
    assert isinstance(asked, tuple)
    assert len(asked) == share
    history = [tried(ask.sample, tau, Outcome.passed, chosen.aim) for ask in asked for tau in ask.taus]
    assert next_round(history, chosen, share, cost) is Stop.full
    again = next_round(history[: -len(asked[-1].taus)], chosen, share, cost)
    assert again == (Ask(share - 1, again[0].taus),)


def test_two_passes_of_one_seed_are_one():
    history = [tried(0, tau, Outcome.passed, 0.2) for tau in (0.5, 1.0)]
    asked = next_round(history, SETTINGS, 2, cost)
    assert [ask.sample for ask in asked] == [1]


def test_after_the_share_it_goes_on_for_the_aim_and_no_further_than_its_seeds():
    history = [tried(k, 1.0, Outcome.passed, 0.05) for k in range(4)]
    assert [ask.sample for ask in next_round(history, SETTINGS, 4, cost)] == [4, 5, 6, 7]
    history += [tried(k, 1.0, Outcome.larger, -0.1, 0.1) for k in range(4, 8)]
    assert next_round(history, SETTINGS, 4, cost) is Stop.full
    # Without its share the same number of seeds is not the end.
    assert [ask.sample for ask in next_round(history[1:], SETTINGS, 5, cost)] == [7, 8]


@pytest.mark.parametrize(("lack", "given_up"), [(0.06, True), (0.04, False)])
def test_what_shows_no_chance_is_given_up(lack: float, given_up: bool):
    history = [tried(k, 1.0, Outcome.larger, -0.3, 0.3) for k in range(5)]
    assert not isinstance(next_round(history, SETTINGS, 4, cost), Stop)
    history.append(tried(5, 1.0, Outcome.smaller, -0.1, lack))
    assert (next_round(history, SETTINGS, 4, cost) is Stop.hopeless) == given_up
    passed = [*history, tried(6, 1.0, Outcome.passed)]
    assert not isinstance(next_round(passed, SETTINGS, 4, cost), Stop)


def test_a_seed_held_from_both_sides_is_halved_before_another_is_tried():
    history = [tried(0, 0.5, Outcome.larger), tried(0, 1.0, Outcome.smaller)]
    assert next_round(history, SETTINGS, 1, cost) == (Ask(0, (0.75,)),)
    history.append(tried(0, 0.75, Outcome.larger))
    asked = next_round(history, replace(SETTINGS, bisections=2), 1, cost)
    assert asked == (Ask(0, (0.875,)),)
    for chosen in (SETTINGS, replace(SETTINGS, bisections=2, bracket=0.3)):
        asked = next_round(history, chosen, 1, cost)
        assert [ask.sample for ask in asked] == [1], "it had its turns, or nothing is left between"


@pytest.mark.parametrize("outcome", [Outcome.passed, Outcome.measure, Outcome.source])
def test_a_seed_that_passed_or_failed_by_what_tau_does_not_mend_is_left(outcome: Outcome):
    history = [tried(0, 0.2, Outcome.larger), tried(0, 1.0, Outcome.smaller), tried(0, 0.6, outcome)]
    asked = next_round(history, replace(SETTINGS, bisections=3), 2, cost)
    assert all(ask.sample > 0 for ask in asked)


def test_without_a_history_the_chances_are_the_prior():
    assert chances([], SETTINGS) == SETTINGS.prior


def test_a_failed_source_says_nothing_of_tau():
    own = [tried(0, 0.5, Outcome.source), tried(0, 1.0, Outcome.source)]
    assert chances([own], SETTINGS) == SETTINGS.prior


@given(st.sampled_from(SETTINGS.taus), st.integers(1, 6))
def test_passes_at_a_tau_raise_its_chance_and_failures_lower_it(tau: float, count: int):
    k = SETTINGS.taus.index(tau)
    up = chances([[tried(n, tau, Outcome.passed)] for n in range(count)], SETTINGS)
    down = chances([[tried(n, tau, Outcome.larger)] for n in range(count)], SETTINGS)
    assert down[k] < SETTINGS.prior[k] < up[k]
    prior, weight = SETTINGS.prior[k], SETTINGS.prior_seeds
    assert up[k] == pytest.approx((weight * prior + count) / (weight + count))
    far = [n for n, other in enumerate(SETTINGS.taus) if abs(other - tau) >= SETTINGS.reach]
    assert all(up[n] == pytest.approx(SETTINGS.prior[n]) for n in far)


def test_the_next_seed_goes_where_the_pair_s_own_passed():
    history = [
        one
        for n in range(4)
        for one in (tried(n, 0.25, Outcome.passed, 0.05), tried(n, 1.0, Outcome.smaller, -0.1, 0.1))
    ]
    asked = next_round(history, replace(SETTINGS, taus_per_seed=1), 4, cost)
    assert {ask.taus for ask in asked} == {(0.25,)}


@given(settings())
def test_tau_of_a_seed_are_spread_and_no_set_promises_more(chosen: AdaptiveSweep):
    taus = promising([], chosen, cost)
    assert 1 <= len(taus) <= chosen.taus_per_seed
    assert all(b - a >= chosen.apart - 1e-9 for a, b in pairwise(taus))
    prior = dict(zip(chosen.taus, chosen.prior, strict=True))
    failing = 1.0
    for tau in taus:
        failing *= 1 - prior[tau]
    for tau in chosen.taus:
        assert (1 - failing) / cost(taus) >= prior[tau] / cost((tau,)) - 1e-12


def test_a_second_tau_is_tried_where_it_is_cheap_and_not_where_it_is_dear():
    assert len(promising([], SETTINGS, lambda taus: 10 + len(taus))) == 2
    assert promising([], SETTINGS, lambda taus: len(taus)) == (1.0,), "the largest among equals"
