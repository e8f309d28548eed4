"""Forward processes q(x | x₀) that samplers invert, and the prediction of x₀ from a denoiser's ε or v.

Tables have one entry a step. ``i`` (B,) are the steps of the rows of a batch; latents are (B, C, h, w) fp32.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from p2p.errors import ModelError
from p2p.samplers.sampler import State, per_row


def predicts_v(config: Mapping[str, Any]) -> bool:
    """True if the model of a scheduler's config predicts v, False if it predicts ε.

    Raises:
        ModelError: any other prediction, or dynamic thresholding.
    """
    prediction = config["prediction_type"]
    if prediction not in ("epsilon", "v_prediction"):
        raise ModelError(f"prediction type {prediction!r} is not supported; epsilon and v_prediction are")
    if config.get("thresholding"):
        raise ModelError("the scheduler's dynamic thresholding is not for latents; set thresholding to false")
    return bool(prediction == "v_prediction")


def clean_latents(x: Tensor, output: Tensor, alpha: Tensor, sigma: Tensor, v_prediction: bool) -> Tensor:
    """Solves x = α x₀ + σ ε with α² + σ² = 1 for x₀, from ε or v = α ε − σ x₀ (Salimans & Ho 2022, appendix D)."""
    return alpha * x - sigma * output if v_prediction else (x - sigma * output) / alpha


@dataclass(frozen=True, eq=False)
class VariancePreserving:
    """x = √ᾱ x₀ + √(1 − ᾱ) ε (Ho et al. 2020, equation 4).

    ``alpha`` (T,) is ᾱ at each step, and ``alpha_next`` (T,) after it. Predictions of x₀ are clipped to ±``clip``.
    """

    timesteps: Tensor
    alpha: Tensor
    alpha_next: Tensor
    v_prediction: bool
    clip: float

    @property
    def noise_level(self) -> Tensor:
        return ((1 - self.alpha) / self.alpha).sqrt()

    def start(self, noise: Tensor) -> State:
        return State(noise)

    def noised(self, denoised: Tensor, noise: Tensor, i: int) -> State:
        return State(self.alpha[i].sqrt() * denoised + (1 - self.alpha[i]).sqrt() * noise)

    def model_input(self, x: Tensor, i: Tensor) -> Tensor:
        return x

    def denoised(self, x: Tensor, output: Tensor, i: Tensor) -> Tensor:
        a = per_row(self.alpha, i)
        x0 = clean_latents(x, output, a.sqrt(), (1 - a).sqrt(), self.v_prediction)
        return x0.clamp(-self.clip, self.clip)


def clip_range(config: Mapping[str, Any]) -> float:
    """Reads the bound on predictions of x₀ from a scheduler's config, infinite if it does not clip them."""
    return float(config["clip_sample_range"]) if config["clip_sample"] else float("inf")


@dataclass(frozen=True, eq=False)
class VarianceExploding:
    """x = x₀ + σ ε, of which the denoiser is given x / √(σ² + 1) (Karras et al. 2022, table 1).

    ``sigma`` (T + 1,) are the noise levels, the last one that of the result. (diffusers gives a log-linear schedule one
    level more, which no step uses.)
    """

    timesteps: Tensor
    sigma: Tensor
    v_prediction: bool
    starting_scale: float

    @property
    def noise_level(self) -> Tensor:
        return self.sigma[: len(self.timesteps)]

    def start(self, noise: Tensor) -> State:
        return State(noise * self.starting_scale)

    def noised(self, denoised: Tensor, noise: Tensor, i: int) -> State:
        return State(denoised + self.sigma[i] * noise)

    def model_input(self, x: Tensor, i: Tensor) -> Tensor:
        return x / (per_row(self.sigma, i) ** 2 + 1).sqrt()

    def denoised(self, x: Tensor, output: Tensor, i: Tensor) -> Tensor:
        sigma = per_row(self.sigma, i)
        if self.v_prediction:  # ``clean_latents`` for α = 1/√(σ² + 1), in these coordinates
            return x / (sigma**2 + 1) - output * sigma / (sigma**2 + 1).sqrt()
        return x - sigma * output
