"""Inverse sampler: goes the steps of a sampler backwards, from an image's latents to noise."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from p2p.errors import P2PError
from p2p.samplers.forward_process import VariancePreserving
from p2p.samplers.sampler import Sampler, State


@dataclass(frozen=True, eq=False)
class InverseSampler:
    """Makes step k of T from the latents after step i = T − 1 − k of ``sampler`` to those before it.

    The denoiser's output would be needed at the latents before step i, which are sought. It is taken at those after it,
    with the timestep of step i (Song et al. 2021, section 4.3, as in the code of Mokady et al. 2022). For this output a
    step of the sampler without a memory is affine in the latents, x' = a x + b(output), and is solved for x. For DDIM
    and a model that predicts ε this is DDIM inversion,

        x/√ᾱ = x'/√ᾱ' + (√(1/ᾱ − 1) − √(1/ᾱ' − 1)) ε
    """

    sampler: Sampler
    stochastic = False

    @property
    def timesteps(self) -> Tensor:
        return self.sampler.timesteps.flip(0)

    @property
    def noise_level(self) -> Tensor:
        return self.sampler.noise_level.flip(0)

    def start(self, noise: Tensor) -> State:
        return State(noise)

    def noised(self, denoised: Tensor, noise: Tensor, i: int) -> State:
        return self.sampler.noised(denoised, noise, len(self.timesteps) - 1 - i)

    def model_input(self, x: Tensor, i: Tensor) -> Tensor:
        # Latents after a step have the noise level of the next one.
        return self.sampler.model_input(x, len(self.timesteps) - i)

    def denoised(self, x: Tensor, output: Tensor, i: Tensor) -> Tensor:
        return self.sampler.denoised(x, output, len(self.timesteps) - 1 - i)

    def step(self, state: State, output: Tensor, i: Tensor, noise: Tensor | None) -> State:
        return State(solve_step(self.sampler, state.x, output, len(self.timesteps) - 1 - i))


def solve_step(sampler: Sampler, after: Tensor, output: Tensor, i: Tensor) -> Tensor:
    """Computes latents (B, C, h, w) from which steps i (B,) with a denoiser's ``output`` lead to latents ``after``."""
    zero = torch.zeros_like(after)
    # A sampler with a memory makes its first step after ``noised`` without one.
    memory = sampler.noised(zero[0], zero[0], 0).denoised
    if memory is not None:
        memory = memory.expand(len(after), *memory.shape)
    slope = sampler.step(State(zero + 1, memory), zero, i, None).x
    offset = sampler.step(State(zero, memory), output, i, None).x
    return (after - offset) / slope


def make_inverse(sampler: Sampler, name: str) -> InverseSampler:
    """Makes the inverse of the sampler with this name. Raises P2PError if its steps cannot be solved."""
    if sampler.stochastic:
        raise P2PError(
            f"sampler {name!r} draws noise, so an image has no inversion; use ddim, euler or dpmpp_2m"
        )
    if isinstance(sampler, VariancePreserving):
        # Clipped predictions cannot be solved for the latents.
        sampler = replace(sampler, clip=torch.inf)
    return InverseSampler(sampler)


def start_at(sampler: Sampler, latents: Tensor) -> State:
    """Makes a sampler's state at step 0 from latents (C, h, w) that have the noise of that step."""
    return replace(sampler.start(latents), x=latents)
