"""What a sampler is: a table of its schedule and two functions over rows that may each be at a step of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class State:
    """All that a sampler remembers of a trajectory between two steps; to use it twice is to fork the trajectory.

    Of one row, or of rows stacked: latents ``x`` (C, h, w) or (B, C, h, w), fp32, and for a multistep sampler in
    the same shape ``denoised``, its last prediction of the clean latents.
    """

    x: Tensor
    denoised: Tensor | None = None


class Sampler(Protocol):
    """One sampler with the schedule of a model and a number of steps T."""

    @property
    def timesteps(self) -> Tensor:
        """(T,) fp32, as the denoiser takes them."""

    @property
    def noise_level(self) -> Tensor:
        """(T,) fp32; the noise's standard deviation over the signal's factor at each step: σ of Karras et al. 2022.

        It is √((1 − ᾱ)/ᾱ) where variance is preserved and t/(1 − t) at time t of a flow, infinite where all is noise.
        """

    @property
    def stochastic(self) -> bool:
        """Whether ``step`` wants noise."""

    def start(self, noise: Tensor) -> State:
        """The state at step 0, from unit normal noise (C, h, w) or (B, C, h, w)."""

    def noised(self, denoised: Tensor, noise: Tensor, i: int) -> State:
        """The state at step i < T of clean latents (C, h, w) with unit normal noise of that step's level."""

    def model_input(self, x: Tensor, i: Tensor) -> Tensor:
        """What the denoiser sees of latents x (B, C, h, w) at steps i (B,)."""

    def denoised(self, x: Tensor, output: Tensor, i: Tensor) -> Tensor:
        """The clean latents (B, C, h, w) that the denoiser's output at steps i predicts of latents x."""

    def step(self, state: State, output: Tensor, i: Tensor, noise: Tensor | None) -> State:
        """The state at steps i + 1, from the denoiser's output at steps i and unit normal noise (B, C, h, w)."""


Maker = Callable[[Mapping[str, Any], int, torch.device], Sampler]
"""From a model's scheduler config, the number of steps and the denoiser's device."""


class OwnSampler(Protocol):
    """A module outside this package."""

    def make(self, config: Mapping[str, Any], steps: int, device: torch.device) -> Sampler:
        """The sampler. It may raise P2PError, for a model that it does not fit or steps that it has not."""


def stack(states: Sequence[State]) -> State:
    """The states of single rows as one."""
    denoised = [state.denoised for state in states if state.denoised is not None]
    return State(torch.stack([state.x for state in states]), torch.stack(denoised) if denoised else None)


def unstack(state: State) -> list[State]:
    """The states of the single rows."""
    if state.denoised is None:
        return [State(x) for x in state.x]
    return [State(x, denoised) for x, denoised in zip(state.x, state.denoised, strict=True)]


def per_row(table: Tensor, i: Tensor) -> Tensor:
    """A table's entries (B, 1, 1, 1) at steps i (B,)."""
    return table[i][:, None, None, None]
