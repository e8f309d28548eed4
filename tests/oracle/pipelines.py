"""Source and edit as one batch of a pipeline of diffusers, whose schedule, guidance and encoding are its own."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor


class Stepped(Protocol):
    """Naive attention, told at which step it is."""

    step: int


@torch.no_grad()
def generate(pipeline: Any, attention: Stepped, latents: Tensor, steps: int, **settings: Any) -> Tensor:
    """The final latents (2, …) of two prompts that start from the same latents (…).

    Args:
        pipeline: calls ``attention`` in its denoiser.
        attention: gets the number of each step.
        latents: starting noise as the pipeline takes it, of one row.
        steps: of the denoising.
        settings: prompts and guidance, as the pipeline takes them.
    """
    attention.step = 0

    def count(pipeline: Any, step: int, timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
        attention.step = step + 1
        return values

    return pipeline(
        latents=torch.stack([latents] * 2),
        num_inference_steps=steps,
        output_type="latent",
        callback_on_step_end=count,
        **settings,
    ).images
