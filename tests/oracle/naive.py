"""Prompt-to-Prompt as the paper writes it (Hertz et al. 2022, algorithm 1), with every attention map in memory.

It shares no code with ``p2p`` but the noise of a stochastic sampler, which is a convention and no mathematics. The
pipeline, its scheduler and its classifier-free guidance are diffusers' own.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
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
    UniPCMultistepScheduler,
)
from torch import Tensor

from p2p.sweep.noise import step_noise

# For an edit token, the source tokens whose maps it is given, with their factors. A token that is absent keeps its own.
Mapper = Mapping[int, Sequence[tuple[int, float]]]

SCHEDULERS = {
    "ddim": DDIMScheduler,
    "euler": EulerDiscreteScheduler,
    "euler_ancestral": EulerAncestralDiscreteScheduler,
    "dpmpp_2m": DPMSolverMultistepScheduler,
    "unipc": UniPCMultistepScheduler,
    "lcm": LCMScheduler,
}


@dataclass(frozen=True)
class NaiveEdit:
    """One edited branch: until which step each edit token's map, and all self-attention, comes from the source.

    ``first_step`` is the first step at which it does, and ``self_pixels`` the most pixels of a layer whose
    self-attention does. ``weights_end`` says that tokens are re-weighted only while their maps come from the source.
    """

    mapper: Mapper
    cross_steps: Mapping[int, int] | int
    self_steps: int
    weights: Mapping[int, float] = field(default_factory=dict)
    unconditional: bool = False
    first_step: int = 0
    self_pixels: float = math.inf
    weights_end: bool = False

    def takes_cross(self, token: int, step: int) -> bool:
        if step < self.first_step:
            return False
        if isinstance(self.cross_steps, int):
            return step < self.cross_steps
        return step < self.cross_steps[token]


@dataclass(frozen=True)
class NaiveBlend:
    """LocalBlend: tokens of the words in source and edit, tokens to subtract in both, and the pixels of the maps."""

    source: Sequence[int]
    target: Sequence[int]
    size: tuple[int, int]
    threshold: float
    start_steps: int
    interpolation: str = "bilinear"
    subtract_source: Sequence[int] = ()
    subtract_target: Sequence[int] = ()


def edited_maps(source: Tensor, own: Tensor, edit: NaiveEdit, step: int) -> Tensor:
    """Edit(M, M*, t) of section 3.2 for cross-attention maps (heads, pixels, tokens), token by token."""
    result = torch.empty_like(own)
    for j in range(own.shape[-1]):
        if j in edit.mapper and edit.takes_cross(j, step):
            result[..., j] = sum(factor * source[..., i] for i, factor in edit.mapper[j])
        else:
            result[..., j] = own[..., j]
        if edit.takes_cross(j, step) or not edit.weights_end:
            result[..., j] = edit.weights.get(j, 1.0) * result[..., j]
    return result


class NaiveAttention:
    """A processor for rows [source, edit], or [source, edit] unconditional and then conditional."""

    def __init__(self, edit: NaiveEdit) -> None:
        self.edit = edit
        self.step = 0
        self.seen: list[list[Tensor]] = []
        """For every step the maps of cross-attention, before the edit: (2, heads, pixels, tokens)."""

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        **_: Any,
    ) -> Tensor:
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = (
            attn.head_to_batch_dim(x, out_dim=4)
            for x in (attn.to_q(hidden_states), attn.to_k(context), attn.to_v(context))
        )
        products = query @ key.transpose(-1, -2) * attn.scale
        if attention_mask is not None:
            products = products + attention_mask[:, None]
        maps = torch.softmax(products, dim=-1)
        source, edited = len(maps) - 2, len(maps) - 1
        maps = maps.clone()
        if encoder_hidden_states is not None:
            self.seen[-1].append(maps[source:].clone())
            maps[edited] = edited_maps(maps[source], maps[edited], self.edit, self.step)
        elif (
            self.edit.first_step <= self.step < self.edit.self_steps
            and hidden_states.shape[1] <= self.edit.self_pixels
        ):
            maps[edited] = maps[source]
            if self.edit.unconditional and len(maps) == 4:
                maps[1] = maps[0]
        out = (maps @ value).transpose(1, 2).flatten(2)
        return attn.to_out[1](attn.to_out[0](out))


@dataclass(frozen=True)
class NaiveResult:
    """Latents (C, h, w) and images (H, W, 3) in [0, 255], not yet rounded.

    ``margin`` is how close a pixel of a normalised map came to the threshold of a blend, ``covered`` what share of the
    pixels the last mask had. ``seen`` has for every step the maps of cross-attention (2, heads, pixels, tokens).
    """

    source_latents: Tensor
    edit_latents: Tensor
    source_image: Tensor
    edit_image: Tensor
    margin: float
    covered: float
    seen: list[list[Tensor]]


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
    blend: NaiveBlend | None = None,
    unguided_steps: Collection[int] = (),
    negative_prompt: str = "",
    starting: Tensor | None = None,
    held: Sequence[Tensor] | None = None,
    negatives: Sequence[Tensor] | None = None,
    background: Sequence[Tensor] | None = None,
) -> NaiveResult:
    """Denoise source and edit side by side, and decode both. Guidance is 1 at ``unguided_steps``.

    An inverted image gives ``starting``, latents (1, C, h, w) in place of noise. ``held`` are latents (1, C, h, w) that
    the source is set to before each step and after the last, ``negatives`` the embeddings (1, S, C) in place of the
    negative prompt's at each step, ``background`` latents as ``held`` that a blend takes for the source's.
    """
    scheduler = SCHEDULERS[sampler].from_config(pipeline.scheduler.config)
    scheduler.set_timesteps(steps)
    attention = NaiveAttention(edit)
    pipeline.unet.set_attn_processor(attention)
    unet = pipeline.unet
    side = unet.config.sample_size
    size = (side, side) if isinstance(side, int) else tuple(side)
    one = torch.randn((1, 4, *size), generator=torch.Generator().manual_seed(seed))
    latents = torch.cat([one, one]) * scheduler.init_noise_sigma
    if starting is not None:
        latents = torch.cat([starting, starting])
    guided = guidance_scale > 1
    prompts = encode(pipeline, [negative_prompt] * 2 + [source, target] if guided else [source, target])
    margin, covered = 1.0, 1.0
    for i, t in enumerate(scheduler.timesteps):
        attention.step = i
        attention.seen.append([])
        if negatives is not None and guided:
            prompts = torch.cat([negatives[i], negatives[i], prompts[2:]])
        rows = torch.cat([latents, latents]) if guided else latents
        output = unet(scheduler.scale_model_input(rows, t), t, prompts).sample
        if guided:
            unconditional, conditional = output.chunk(2)
            scale = 1.0 if i in unguided_steps else guidance_scale
            output = unconditional + scale * (conditional - unconditional)
        with _shared_noise(scheduler, seed, i):
            latents = scheduler.step(output, t, latents).prev_sample
        if held is not None:
            latents[0] = held[i + 1][0]
        if blend is not None and i + 1 > blend.start_steps:
            inside, near = blend_mask(attention.seen, blend, size)
            margin, covered = min(margin, near), inside.float().mean().item()
            behind = latents[0] if background is None else background[i + 1][0]
            latents[1] = torch.where(inside, latents[1], behind)
            if isinstance(scheduler, DPMSolverMultistepScheduler):
                blend_rows(inside, scheduler.model_outputs[-1])
            if isinstance(scheduler, UniPCMultistepScheduler):
                blend_rows(inside, scheduler.last_sample, *scheduler.model_outputs)
    decoded = pipeline.vae.decode(latents / pipeline.vae.config.scaling_factor).sample
    images = ((decoded / 2 + 0.5).clamp(0, 1) * 255).permute(0, 2, 3, 1)
    return NaiveResult(latents[0], latents[1], images[0], images[1], margin, covered, attention.seen)


def blend_rows(inside: Tensor, *memory: Tensor | None) -> None:
    """The edit's row of what a scheduler remembers becomes the source's outside of the mask."""
    for rows in memory:
        if rows is not None:
            rows[1] = torch.where(inside, rows[1], rows[0])


def tokens_of_words(tokenizer: Any, prompt: str) -> list[list[int]]:
    """Positions of the tokens of each word, of words apart by spaces."""
    positions, start = [], 1
    for word in prompt.split():
        stop = start + len(tokenizer.tokenize(word))
        positions.append(list(range(start, stop)))
        start = stop
    return positions


def word_maps(
    seen: Sequence[Sequence[Tensor]], steps: Sequence[int], words: list[list[int]], side: int, pixels: int
) -> Tensor:
    """(words, pixels, pixels): the source's maps averaged over steps, layers of side × side, and heads."""
    maps = [one[0].mean(0) for step in steps for one in seen[step] if one.shape[2] == side * side]
    average = torch.stack(maps).mean(0)
    grids = torch.stack([average[:, tokens].sum(-1).reshape(side, side) for tokens in words])
    return torch.nn.functional.interpolate(grids[None], (pixels, pixels), mode="bilinear")[0]


def blend_mask(
    seen: Sequence[Sequence[Tensor]], blend: NaiveBlend, latents: tuple[int, ...]
) -> tuple[Tensor, float]:
    """Where the edit may differ (h, w), and how close a pixel came to the threshold.

    The maps of the layers of the blend's size are averaged over heads, layers and steps; words add up.
    """
    h, w = blend.size
    average = torch.stack([maps.mean(1) for step in seen for maps in step if maps.shape[2] == h * w]).mean(0)
    nearest = 1.0

    def covered(row: int, tokens: Sequence[int], widen: bool) -> Tensor:
        nonlocal nearest
        if not tokens:
            return torch.zeros(latents, dtype=torch.bool)
        values = average[row, :, list(tokens)].sum(-1).reshape(h, w)
        if widen:
            values = torch.tensor(
                [
                    [values[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].max() for x in range(w)]
                    for y in range(h)
                ]
            )
        values = values / values.max()
        upsampled = torch.nn.functional.interpolate(values[None, None], latents, mode=blend.interpolation)[
            0, 0
        ]
        nearest = min(nearest, (upsampled - blend.threshold).abs().min().item())
        return upsampled > blend.threshold

    words = covered(0, blend.source, True) | covered(1, blend.target, True)
    kept = covered(0, blend.subtract_source, False) | covered(1, blend.subtract_target, False)
    return words & ~kept, nearest


def encode(pipeline: StableDiffusionPipeline, prompts: list[str]) -> Tensor:
    tokenizer = pipeline.tokenizer
    ids = tokenizer(prompts, padding="max_length", max_length=tokenizer.model_max_length, return_tensors="pt")
    return pipeline.text_encoder(ids.input_ids)[0]


def _shared_noise(scheduler: Any, seed: int, step: int) -> Any:
    """Both rows are given the noise of the seed and the step; diffusers' scheduler would draw its own."""

    def noise(shape: torch.Size, **_: Any) -> Tensor:
        return step_noise(seed, step, tuple(shape[1:])).expand(shape)

    return mock.patch(f"{type(scheduler).__module__}.randn_tensor", noise, create=True)
