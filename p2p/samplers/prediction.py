"""From what the denoiser predicts, ε or v, to the clean latents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from p2p.errors import ModelError


def predicts_flow(config: Mapping[str, Any]) -> bool:
    """Whether a model's scheduler config is that of a flow-matching model."""
    return (
        config.get("prediction_type") in ("flow", "flow_prediction")
        or str(config.get("_class_name", "")).startswith("FlowMatch")
        or bool(config.get("use_flow_sigmas"))
    )


def predicts_v(config: Mapping[str, Any]) -> bool:
    """Whether a scheduler's config says v rather than ε.

    Raises:
        ModelError: any other prediction, or dynamic thresholding.
    """
    prediction = config["prediction_type"]
    if prediction not in ("epsilon", "v_prediction"):
        raise ModelError(f"prediction type {prediction!r} is not supported; epsilon and v_prediction are")
    if config.get("thresholding"):
        raise ModelError("the scheduler's dynamic thresholding is not for latents; set thresholding to false")
    return bool(prediction == "v_prediction")


def denoised_vp(x: Tensor, output: Tensor, alpha: Tensor, sigma: Tensor, v_prediction: bool) -> Tensor:
    """x₀ for x = α x₀ + σ ε with α² + σ² = 1; v = α ε − σ x₀ (Salimans & Ho 2022, appendix D)."""
    return alpha * x - sigma * output if v_prediction else (x - sigma * output) / alpha


def denoised_ve(x: Tensor, output: Tensor, sigma: Tensor, v_prediction: bool) -> Tensor:
    """x₀ for x = x₀ + σ ε, of a model that sees x / √(σ² + 1): ``denoised_vp`` in the coordinates of Karras et al."""
    if v_prediction:
        return x / (sigma**2 + 1) - output * sigma / (sigma**2 + 1).sqrt()
    return x - sigma * output
