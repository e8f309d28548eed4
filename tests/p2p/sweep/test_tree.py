from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.sweep.tree import (
    Branch,
    Injection,
    InjectionTiming,
    count_evaluations,
    grow_branches,
    injected_steps,
    make_schedules,
)

taus = st.lists(st.floats(0, 1), min_size=1, max_size=6)
gains = st.sampled_from([0.0, 0.3, 0.5, 1.0, 2.0])


def paths(branches: tuple[Branch, ...]) -> dict[int, list[Injection]]:
    """The injections on the way from the root to each member's leaf."""
    found: dict[int, list[Injection]] = {}
    for branch in branches:
        below = paths(branch.children)
        for member in branch.members:
            found[member] = list(branch.injections) + below.get(member, [])
    return found


def nodes(branches: tuple[Branch, ...]) -> int:
    return sum(len(branch.injections) + nodes(branch.children) for branch in branches)


@given(taus, st.lists(st.floats(0, 1), max_size=2), gains, gains, st.integers(1, 12))
def test_the_tree_holds_every_schedule_and_no_step_twice(
    taus: list[float], word_taus: list[float], cross_gain: float, self_gain: float, steps: int
) -> None:
    wanted = make_schedules(taus, word_taus, InjectionTiming(cross_gain, self_gain, steps))
    tree = grow_branches(wanted)
    assert paths(tree) == {member: list(schedule) for member, schedule in enumerate(wanted)}
    assert nodes(tree) == len({schedule[: k + 1] for schedule in wanted for k in range(steps)})


def test_fifty_steps_and_nine_taus_take_270_steps_of_edits() -> None:
    assert (
        nodes(
            grow_branches(make_schedules([k / 10 for k in range(1, 10)], [], InjectionTiming(1.0, 1.0, 50)))
        )
        == 270
    )


def test_with_few_steps_many_taus_are_one_schedule() -> None:
    tree = grow_branches(make_schedules([k / 10 for k in range(1, 10)], [], InjectionTiming(1.0, 1.0, 4)))
    # 0.4 → 0 steps, …: floor(4τ + 0.5) is 0, 1, 2, 3 or 4.
    assert len(set(map(tuple, paths(tree).values()))) == 5


@pytest.mark.parametrize(
    ("gain", "tau", "steps", "injected"),
    [
        (1, 0.58, 50, 29),
        (1, 0.29, 50, 15),
        (1, 0.29, 100, 29),
        (0.5, 0.3, 30, 5),
        (1, 0, 9, 0),
        (1, 1, 9, 9),
        (3, 0.5, 9, 9),
    ],
)
def test_injected_steps_round_halves_up(gain: float, tau: float, steps: int, injected: int) -> None:
    assert injected_steps(gain, tau, steps) == injected


@given(st.floats(0, 1), st.integers(2, 120))
def test_instructpix2pix_rounding_injects_while_tau_is_greater(tau: float, steps: int) -> None:
    at_least = sum(tau - 1e-8 > i / (steps - 1) for i in range(steps))
    at_most = sum(tau + 1e-8 > i / (steps - 1) for i in range(steps))
    assert at_least <= injected_steps(1.0, tau, steps, "instructpix2pix") <= at_most
    grid = [k for k in range(steps) if (k + 0.5) / (steps - 1) < 1]
    for k in grid:
        assert injected_steps(1.0, (k + 0.5) / (steps - 1), steps, "instructpix2pix") == k + 1


@given(taus, gains, gains, st.integers(1, 30))
def test_a_released_branch_is_never_injected_again(
    taus: list[float], cross_gain: float, self_gain: float, steps: int
) -> None:
    for schedule in make_schedules(taus, [], InjectionTiming(cross_gain, self_gain, steps)):
        on = [bool(injection) for injection in schedule]
        assert on == sorted(on, reverse=True)


@given(st.integers(1, 60), st.integers(0, 100), st.integers(0, 100))
def test_google_s_rounding_is_that_of_its_controllers(steps: int, tau: int, start: int) -> None:
    """The arrays of ``get_time_words_attention_alpha`` and of ``AttentionControlEdit``, filled as there."""
    cross_bounds, self_bounds = (start / 100, tau / 100), (start / 100, tau / 100 * 0.5)
    alpha = [0] * (steps + 1)
    for i in range(int(cross_bounds[0] * len(alpha)), int(cross_bounds[1] * len(alpha))):
        alpha[i] = 1
    first, last = (int(steps * bound) for bound in self_bounds)
    timing = InjectionTiming(1.0, 0.5, steps, "google", start / 100)
    (schedule,) = make_schedules([tau / 100], [], timing)
    assert [injection.cross[0] for injection in schedule] == [on == 1 for on in alpha[:steps]]
    assert [injection.self_attention for injection in schedule] == [first <= i < last for i in range(steps)]


@given(taus, gains, gains, st.integers(1, 12), st.floats(0, 1), st.floats(0, 1))
def test_a_start_and_a_tau_of_self_attention(
    taus: list[float], cross_gain: float, self_gain: float, steps: int, start: float, self_tau: float
) -> None:
    usual_timing = InjectionTiming(cross_gain, self_gain, steps)
    timing = replace(usual_timing, start=start, self_tau=self_tau)
    made = make_schedules(taus, (), timing)
    plain = make_schedules(taus, (), usual_timing)
    (fixed,) = make_schedules([self_tau], (), usual_timing)
    first = injected_steps(1.0, start, steps)
    for schedule, usual in zip(made, plain, strict=True):
        for i in range(steps):
            assert schedule[i].cross == ((i >= first and usual[i].cross[0]),)
            assert schedule[i].self_attention == (i >= first and fixed[i].self_attention)
    assert count_evaluations(taus, timing) == steps + nodes(grow_branches(made))
