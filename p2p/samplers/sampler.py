"""Sampler interface: tables of a schedule, and functions over rows of which each may be at a different step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class State:
    """All that a sampler keeps of a trajectory between two steps. A trajectory forks by using its state twice.

    ``x`` are the latents (C, h, w) of one row, or (B, C, h, w) of stacked rows, fp32. ``denoised`` is a multistep
    sampler's last prediction of the clean latents, of the same shape. A sampler that remembers k latents puts their
    channels one after the other: (k C, h, w).
    """

    x: Tensor
    denoised: Tensor | None = None


class Sampler(Protocol):
    """A sampler with the schedule of a model and a number of steps T."""

    @property
    def timesteps(self) -> Tensor:
        """Timesteps (T,) fp32, in the denoiser's unit."""

    @property
    def noise_level(self) -> Tensor:
        """σ of Karras et al. 2022 at each step, (T,) fp32: the noise's standard deviation over the signal's factor.

        It is √((1 − ᾱ)/ᾱ) if variance is preserved and t/(1 − t) at time t of a flow; infinite for pure noise.
        """

    @property
    def stochastic(self) -> bool:
        """True if ``step`` needs noise."""

    def start(self, noise: Tensor) -> State:
        """Makes the state at step 0 from unit normal noise (C, h, w) or (B, C, h, w)."""

    def noised(self, denoised: Tensor, noise: Tensor, i: int) -> State:
        """Adds unit normal noise, scaled to the level of step i < T, to clean latents (C, h, w)."""

    def model_input(self, x: Tensor, i: Tensor) -> Tensor:
        """Scales latents x (B, C, h, w) at steps i (B,) to the denoiser's input."""

    def denoised(self, x: Tensor, output: Tensor, i: Tensor) -> Tensor:
        """Predicts the clean latents (B, C, h, w) from the denoiser's output for latents x at steps i."""

    def step(self, state: State, output: Tensor, i: Tensor, noise: Tensor | None) -> State:
        """Makes the state at steps i + 1 from the denoiser's output at steps i and unit normal noise (B, C, h, w)."""


Maker = Callable[[Mapping[str, Any], int, torch.device], Sampler]
"""Makes a sampler from a model's scheduler config, the number of steps and the denoiser's device."""


MakeSampler = Callable[[str, int, str | None], Sampler]
"""Makes a sampler from its name, the number of steps and the spacing of its timesteps, None for the model's own."""


class SamplerPlugin(Protocol):
    """A module outside this package."""

    def make(self, config: Mapping[str, Any], steps: int, device: torch.device) -> Sampler:
        """Makes the sampler. Raises P2PError if it does not fit the model or the number of steps."""


def stack(states: Sequence[State]) -> State:
    """Stacks the states of single rows."""
    denoised = [state.denoised for state in states if state.denoised is not None]
    return State(torch.stack([state.x for state in states]), torch.stack(denoised) if denoised else None)


def unstack(state: State) -> list[State]:
    """Splits stacked states into those of single rows."""
    if state.denoised is None:
        return [State(x) for x in state.x]
    return [State(x, denoised) for x, denoised in zip(state.x, state.denoised, strict=True)]


def per_row(table: Tensor, i: Tensor) -> Tensor:
    """Looks up the entries (B, 1, 1, 1) of a table (T,) at steps i (B,)."""
    return table[i][:, None, None, None]
