"""Checks an inversion against a sampler and a model before anything is loaded."""

from __future__ import annotations

from p2p.errors import P2PError
from p2p.models.model_limits import NEEDS_UNCONDITIONAL, ModelLimits

STOCHASTIC = ("euler_ancestral", "lcm")
"""The built-in samplers that draw noise in each step."""


def check_inversion(
    inversion: str, sampler: str, negative_prompt: str | None, limits: ModelLimits, guidance: float
) -> None:
    """Checks that images can be inverted.

    Args:
        inversion: the name of the inversion.
        sampler: the name of the sampler.
        negative_prompt: of the sampler, or None.
        limits: what the model can do.
        guidance: scale of classifier-free guidance.

    Raises:
        P2PError: the sampler draws noise, or the inversion needs rows without the prompt of its own and there are none.
    """
    if sampler in STOCHASTIC:
        raise P2PError(
            f"sampler {sampler!r} draws noise, so an image has no inversion; use ddim, euler or dpmpp_2m"
        )
    if inversion == "rf_inversion" and sampler != "flow_match_euler":
        raise P2PError(f"inversion {inversion!r} is for models that predict a flow; use direct")
    if inversion not in NEEDS_UNCONDITIONAL:
        return
    if not limits.unconditional or guidance <= 1:
        why = (
            "a model that embeds the guidance scale" if not limits.unconditional else f"guidance {guidance:g}"
        )
        raise P2PError(
            f"inversion {inversion!r} needs rows without the prompt, which {why} has not; use direct"
        )
    if negative_prompt is not None:
        raise P2PError(f"inversion {inversion!r} has a negative prompt of its own; remove negative_prompt")
