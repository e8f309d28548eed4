"""Prompt-to-Prompt as the paper writes it (Hertz et al. 2022, algorithm 1), with every attention map in memory.

It shares no code with ``p2p`` but the noise of a stochastic sampler, which is a convention and no mathematics. The
pipeline, its scheduler and its classifier-free guidance are diffusers' own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    LCMScheduler,
    StableDiffusionPipeline,
)
from torch import Tensor

from p2p.noise import step_noise

# For an edit token, the source tokens whose maps it is given, with their factors. A token that is absent keeps its own.
Mapper = Mapping[int, Sequence[tuple[int, float]]]

SCHEDULERS = {
    "ddim": DDIMScheduler,
    "euler": EulerDiscreteScheduler,
    "euler_ancestral": EulerAncestralDiscreteScheduler,
    "dpmpp_2m": DPMSolverMultistepScheduler,
    "lcm": LCMScheduler,
}


@dataclass(frozen=True)
class NaiveEdit:
    """One edited branch: at how many steps each edit token's map, and all self-attention, comes from the source."""

    mapper: Mapper
    cross_steps: Mapping[int, int] | int
    self_steps: int
    weights: Mapping[int, float] = field(default_factory=dict)
    unconditional: bool = False

    def takes_cross(self, token: int, step: int) -> bool:
        if isinstance(self.cross_steps, int):
            return step < self.cross_steps
        return step < self.cross_steps[token]


def edited_maps(source: Tensor, own: Tensor, edit: NaiveEdit, step: int) -> Tensor:
    """Edit(M, M*, t) of section 3.2 for cross-attention maps (heads, pixels, tokens), token by token."""
    result = torch.empty_like(own)
    for j in range(own.shape[-1]):
        if j in edit.mapper and edit.takes_cross(j, step):
            result[..., j] = sum(factor * source[..., i] for i, factor in edit.mapper[j])
        else:
            result[..., j] = own[..., j]
        result[..., j] = edit.weights.get(j, 1.0) * result[..., j]
    return result


class NaiveAttention:
    """A processor for rows [source, edit], or [source, edit] unguided and then guided."""

    def __init__(self, edit: NaiveEdit) -> None:
        self.edit = edit
        self.step = 0

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, **_: Any
    ) -> Tensor:
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = (
            attn.head_to_batch_dim(x, out_dim=4)
            for x in (attn.to_q(hidden_states), attn.to_k(context), attn.to_v(context))
        )
        maps = torch.softmax(query @ key.transpose(-1, -2) * attn.scale, dim=-1)
        source, edited = len(maps) - 2, len(maps) - 1
        maps = maps.clone()
        if encoder_hidden_states is not None:
            maps[edited] = edited_maps(maps[source], maps[edited], self.edit, self.step)
        elif self.step < self.edit.self_steps:
            maps[edited] = maps[source]
            if self.edit.unconditional and len(maps) == 4:
                maps[1] = maps[0]
        out = (maps @ value).transpose(1, 2).flatten(2)
        return attn.to_out[1](attn.to_out[0](out))


@dataclass(frozen=True)
class NaiveResult:
    """Latents (C, h, w) and images (H, W, 3) in [0, 255], not yet rounded."""

    source_latents: Tensor
    edit_latents: Tensor
    source_image: Tensor
    edit_image: Tensor


@torch.no_grad()
def generate(
    pipeline: StableDiffusionPipeline,
    source: str,
    target: str,
    edit: NaiveEdit,
    *,
    seed: int,
    steps: int,
    guidance_scale: float,
    sampler: str,
) -> NaiveResult:
    """Denoise source and edit side by side, and decode both."""
    scheduler = SCHEDULERS[sampler].from_config(pipeline.scheduler.config)
    scheduler.set_timesteps(steps)
    attention = NaiveAttention(edit)
    pipeline.unet.set_attn_processor(attention)
    unet = pipeline.unet
    size = unet.config.sample_size
    one = torch.randn((1, 4, size, size), generator=torch.Generator().manual_seed(seed))
    latents = torch.cat([one, one]) * scheduler.init_noise_sigma
    guided = guidance_scale > 1
    prompts = _encode(pipeline, ["", "", source, target] if guided else [source, target])
    for i, t in enumerate(scheduler.timesteps):
        attention.step = i
        rows = torch.cat([latents, latents]) if guided else latents
        output = unet(scheduler.scale_model_input(rows, t), t, prompts).sample
        if guided:
            unguided, conditional = output.chunk(2)
            output = unguided + guidance_scale * (conditional - unguided)
        with _shared_noise(scheduler, seed, i):
            latents = scheduler.step(output, t, latents).prev_sample
    decoded = pipeline.vae.decode(latents / pipeline.vae.config.scaling_factor).sample
    images = ((decoded / 2 + 0.5).clamp(0, 1) * 255).permute(0, 2, 3, 1)
    return NaiveResult(latents[0], latents[1], images[0], images[1])


def _encode(pipeline: StableDiffusionPipeline, prompts: list[str]) -> Tensor:
    tokenizer = pipeline.tokenizer
    ids = tokenizer(prompts, padding="max_length", max_length=tokenizer.model_max_length, return_tensors="pt")
    return pipeline.text_encoder(ids.input_ids)[0]


def _shared_noise(scheduler: Any, seed: int, step: int) -> Any:
    """Both rows are given the noise of the seed and the step; diffusers' scheduler would draw its own."""

    def noise(shape: torch.Size, **_: Any) -> Tensor:
        return step_noise(seed, step, tuple(shape[1:])).expand(shape)

    return mock.patch(f"{type(scheduler).__module__}.randn_tensor", noise, create=True)
