"""Tree of a sweep: edits at different τ share one trajectory while their injection is the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Injection:
    """Attention that an edit takes from its source at one step.

    ``cross[0]`` is the injection of cross-attention, ``cross[1:]`` that for each word with a τ of its own.
    """

    cross: tuple[bool, ...]
    self_attention: bool

    def __bool__(self) -> bool:
        return self.self_attention or any(self.cross)


@dataclass(frozen=True)
class Branch:
    """Steps [start, stop) on which ``members``, indices of the sweep's τ, share one trajectory.

    ``injections`` has one entry a step. ``children`` continue from ``stop``. A branch that reaches the last step has no
    children, and its result is that of all its members.
    """

    start: int
    injections: tuple[Injection, ...]
    members: tuple[int, ...]
    children: tuple[Branch, ...]

    @property
    def stop(self) -> int:
        """The step after the last."""
        return self.start + len(self.injections)

    def injection(self, step: int) -> Injection:
        """Returns the injection at a step of this branch."""
        return self.injections[step - self.start]


def count_branches(branches: Sequence[Branch], step: int) -> int:
    """Counts the branches that reach ``step``, before they fork there."""
    return sum(
        1 if branch.start < step <= branch.stop else count_branches(branch.children, step)
        for branch in branches
    )


ROUNDINGS = ("nearest", "instructpix2pix", "google")


def injected_steps(
    gain: float, tau: float, steps: int, rounding: str = "nearest", cross: bool = False
) -> int:
    """Counts the steps with injection of cross-attention or of self-attention, at most ``steps``.

    "nearest" is floor(gain · τ · steps + 0.5 + 1e-9). "instructpix2pix" has injection at step i while
    gain · τ > i / (steps - 1), like that generator. The margin 1e-9 makes halves round up, and keeps whole numbers,
    when a product like 0.29 · 50 is inexact in binary. "google" truncates like google/prompt-to-prompt, whose schedule
    of cross-attention has one entry more than there are steps.
    """
    if rounding == "google":
        return min(steps, int(gain * tau * (steps + 1 if cross else steps)))
    if rounding == "instructpix2pix":
        return min(steps, math.ceil(gain * tau * (steps - 1) - 1e-9))
    return min(steps, math.floor(gain * tau * steps + 0.5 + 1e-9))


def first_steps(start: float, steps: int, rounding: str = "nearest") -> tuple[int, int]:
    """Returns the first step at which cross-attention may be injected, and that for self-attention."""
    cross = injected_steps(1.0, start, steps, rounding, cross=True)
    return cross, injected_steps(1.0, start, steps, rounding)


@dataclass(frozen=True)
class InjectionTiming:
    """What decides, with τ, at which of ``steps`` steps attention is injected.

    Nothing is injected before the fraction ``start`` of the steps. ``self_tau`` takes the place of every τ for
    self-attention.
    """

    cross_gain: float
    self_gain: float
    steps: int
    rounding: str = "nearest"
    start: float = 0.0
    self_tau: float | None = None

    def cross_steps(self, tau: float) -> int:
        """Counts the steps from the first to the last with injection of cross-attention at ``tau``."""
        return injected_steps(self.cross_gain, tau, self.steps, self.rounding, cross=True)

    def self_steps(self, tau: float) -> int:
        """Counts the steps from the first to the last with injection of self-attention at ``tau``."""
        return injected_steps(
            self.self_gain, tau if self.self_tau is None else self.self_tau, self.steps, self.rounding
        )


def make_schedules(
    taus: Sequence[float], word_taus: Sequence[float], timing: InjectionTiming
) -> tuple[tuple[Injection, ...], ...]:
    """Makes the injections of every τ at every step: K tuples, one entry a step."""
    first_cross, first_self = first_steps(timing.start, timing.steps, timing.rounding)
    words = [timing.cross_steps(tau) for tau in word_taus]

    def schedule(tau: float) -> tuple[Injection, ...]:
        cross, last_self = [timing.cross_steps(tau), *words], timing.self_steps(tau)
        return tuple(
            Injection(tuple(first_cross <= i < stop for stop in cross), first_self <= i < last_self)
            for i in range(timing.steps)
        )

    return tuple(schedule(tau) for tau in taus)


def count_evaluations(taus: Sequence[float], timing: InjectionTiming) -> int:
    """Counts the steps of a source and its tree of edits together; a guided sweep needs two rows for each."""

    def count(branches: Sequence[Branch]) -> int:
        return sum(len(branch.injections) + count(branch.children) for branch in branches)

    return timing.steps + count(grow_branches(make_schedules(taus, (), timing)))


def grow_branches(
    schedules: Sequence[tuple[Injection, ...]], members: Sequence[int] | None = None, start: int = 0
) -> tuple[Branch, ...]:
    """Builds the branches from step ``start``: a trie over the schedules of ``members`` (all by default).

    Equal schedules share one branch to the end. Members ascend within a branch and among siblings.
    """
    indices = range(len(schedules)) if members is None else members
    steps = len(schedules[0])
    groups: dict[Injection, list[int]] = {}
    for member in indices:
        groups.setdefault(schedules[member][start], []).append(member)
    branches = []
    for group in groups.values():
        first = schedules[group[0]]
        stop = start + 1
        while stop < steps and all(schedules[member][stop] == first[stop] for member in group):
            stop += 1
        children = grow_branches(schedules, group, stop) if stop < steps else ()
        branches.append(Branch(start, first[start:stop], tuple(group), children))
    return tuple(branches)
