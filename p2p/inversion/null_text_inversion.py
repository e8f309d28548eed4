"""Null-text inversion: optimises the unconditional embedding of each step (Mokady et al. 2022, algorithm 1).

Step i starts from the latents z̄ that guidance has led to so far, and from the embedding ∅ of the step before:

    min over ∅ of ‖z* − step(z̄, ε(z̄, ∅) + w (ε(z̄, caption) − ε(z̄, ∅)))‖²

z* are the inverted latents after the step. A step is affine in the denoiser's output, so only ε(z̄, ∅) needs gradients.
Source and edits then use the same embeddings. It takes up to 12 forward and 10 backward passes of one row a step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from p2p.attention.routing import PLAIN
from p2p.families.family import Conditioning, Family
from p2p.inversion.ddim_inversion import start_from_noise
from p2p.inversion.inverted_image import InvertedImage
from p2p.samplers.sampler import stack, unstack
from p2p.sweep.sweep_plan import SweepPlan

INNER_STEPS = 10


def learning_rate(step: int) -> float:
    """Returns Adam's rate at a step, from 0: that of the authors' code, which has 50 steps."""
    return 1e-2 * max(0.0, 1 - step / 100)


def small_loss(step: int) -> float:
    """Returns the loss at which the optimisation of a step ends early."""
    return 1e-5 + 2e-5 * step


def optimise_unconditional(plan: SweepPlan, image: InvertedImage) -> SweepPlan:
    """Makes the plan with optimised embeddings in unconditional rows; they are found once for a guidance and prompt."""
    request = plan.request
    key = ("null_text", request.guidance_scale, request.negative_prompt, plan.guided)
    rows = 0
    if key not in image.found:
        image.found[key], rows = find_embeddings(plan, image)
    return replace(start_from_noise(plan, image), unconditional=image.found[key], prepared_rows=rows)


def find_embeddings(plan: SweepPlan, image: InvertedImage) -> tuple[tuple[Conditioning, ...], int]:
    """Optimises the embedding of each guided step; returns those of all steps, and the rows that were evaluated.

    Inputs are copied first: tensors of inference mode take no part in gradients.
    """
    family, sampler = image.family, plan.sampler
    state = start_from_noise(plan, image).starting
    found: list[Conditioning] = []
    rows = 0
    embedding, *others = plan.unconditional[0]
    for step in range(plan.request.steps):
        i = torch.tensor([step], device=family.device)
        stacked = stack([state])
        inputs = sampler.model_input(stacked.x, i), sampler.timesteps[i]
        conditional = family.denoise(*inputs, _row(plan.source), PLAIN)
        output, rows = conditional, rows + 1
        if plan.guided[step]:
            zero = torch.zeros_like(conditional)
            offset = sampler.step(stacked, zero, i, None).x
            slope = sampler.step(stacked, zero + 1, i, None).x - offset
            scale = plan.request.guidance_scale
            # step(z̄, ε_∅ + w (ε_c − ε_∅)) = constant + factor · ε_∅
            constant, factor = offset + slope * scale * conditional, slope * (1 - scale)
            target = image.trajectory[step + 1][None]
            embedding, tried = _optimise_step(
                family, inputs, embedding, others, (constant, factor, target), step
            )
            unconditional = family.denoise(*inputs, _row((embedding, *others)), PLAIN)
            output = unconditional + scale * (conditional - unconditional)
            rows += tried + 1
        found.append((embedding, *others))
        (state,) = unstack(sampler.step(stacked, output, i, None))
    return tuple(found), rows


def _optimise_step(
    family: Family,
    inputs: tuple[Tensor, Tensor],
    embedding: Tensor,
    others: list[Tensor],
    affine: tuple[Tensor, Tensor, Tensor],
    step: int,
) -> tuple[Tensor, int]:
    """Optimises the embedding (S, C) of one step; returns it in its own precision, and the rows that were evaluated.

    ``affine`` are the constant and the factor with which ε_∅ gives the latents after the step, and their target.
    """

    def run() -> tuple[Tensor, int]:
        latents, timesteps, constant, factor, target = (x.clone() for x in (*inputs, *affine))
        pooled = [part.clone() for part in others]
        null = embedding.float().clone().requires_grad_()
        optimizer = torch.optim.Adam([null], lr=learning_rate(step))
        rows = 0
        while rows < INNER_STEPS:
            unconditional = family.denoise(
                latents, timesteps, _row((null.to(embedding.dtype), *pooled)), PLAIN
            )
            rows += 1
            loss = F.mse_loss(constant + factor * unconditional, target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if loss.item() < small_loss(step):
                break
        return null.detach().to(embedding.dtype), rows

    # A compiled denoiser would be compiled again for gradients.
    with torch.inference_mode(False), torch.enable_grad(), torch.compiler.set_stance("force_eager"):
        return with_checkpointing(family.network, run)


def with_checkpointing(network: Any, run: Callable[[], tuple[Tensor, int]]) -> tuple[Tensor, int]:
    """Calls ``run``, and again with gradient checkpointing if memory is short for the network's activations."""
    try:
        return run()
    except torch.OutOfMemoryError:
        if not hasattr(network, "enable_gradient_checkpointing"):
            raise
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    network.enable_gradient_checkpointing()
    try:
        return run()
    finally:
        network.disable_gradient_checkpointing()


def _row(conditioning: Conditioning) -> Conditioning:
    """Makes the conditioning of a batch of one row."""
    return tuple(part[None] for part in conditioning)
