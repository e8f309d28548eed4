"""Reference implementations of a sweep, on diffusers' own classes.

All of them run DDIM with classifier-free guidance in the model's precision, and decode their images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import DDIMScheduler, DiffusionPipeline
from torch import Tensor


@dataclass(frozen=True)
class Task:
    """One sweep: a swap of words of equally many tokens, so that the mapper is the identity.

    Cross-attention is injected for τ of the steps, self-attention for ``self_gain`` · τ.
    """

    source: str
    target: str
    taus: tuple[float, ...]
    steps: int
    guidance_scale: float
    seed: int
    self_gain: float = 1.0


@dataclass(frozen=True)
class Edits:
    """Final latents of the edits, (K, C, h, w), or None if the method makes no edits; and the denoiser rows."""

    latents: Tensor | None
    rows: int


class MaterialisedAttention:
    """Attention with softmax maps in memory; maps of the source rows overwrite those of the edit rows.

    ``cross`` and ``self_attention`` are the rows (sources, edits) of the current step.
    """

    def __init__(self) -> None:
        self.cross: tuple[Sequence[int], Sequence[int]] = ((), ())
        self.self_attention: tuple[Sequence[int], Sequence[int]] = ((), ())

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, **_: Any
    ) -> Tensor:
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = (
            attn.head_to_batch_dim(x, out_dim=4)
            for x in (attn.to_q(hidden_states), attn.to_k(context), attn.to_v(context))
        )
        maps = torch.softmax(query @ key.transpose(-1, -2) * attn.scale, dim=-1)
        sources, edits = self.self_attention if encoder_hidden_states is None else self.cross
        if edits:
            maps[list(edits)] = maps[list(sources)]
        return attn.to_out[1](attn.to_out[0]((maps @ value).transpose(1, 2).flatten(2)))


def instructpix2pix(pipeline: DiffusionPipeline, task: Task) -> Edits:
    """InstructPix2Pix's generator: one run of four rows a step for every τ.

    Self-attention alone is injected, in conditional and unconditional rows, while τ > i / (steps - 1).
    """
    attention = MaterialisedAttention()
    pipeline.unet.set_attn_processor(attention)
    edits, rows = [], 0
    for tau in task.taus:

        def inject(i: int, tau: float = tau) -> None:
            on = tau > i / max(1, task.steps - 1)
            attention.self_attention = ((0, 2), (1, 3)) if on else ((), ())

        latents = _denoise(pipeline, task, [task.source, task.target], inject)
        rows += 4 * task.steps
        edits.append(latents[1])
        _decode(pipeline, latents)
    return Edits(torch.stack(edits), rows)


def one_batch(pipeline: DiffusionPipeline, task: Task) -> Edits:
    """The form of google/prompt-to-prompt and of diffusers' community pipeline: one source and K edits in a batch.

    Both kinds of attention are injected as the task says, as in our sweep.
    """
    attention = MaterialisedAttention()
    pipeline.unet.set_attn_processor(attention)
    count = len(task.taus)
    first = 1 + count  # conditional rows come after the unconditional

    def rows(i: int, gain: float) -> tuple[list[int], list[int]]:
        edits = [
            first + 1 + k for k, tau in enumerate(task.taus) if i < int(gain * tau * task.steps + 0.5 + 1e-9)
        ]
        return [first] * len(edits), edits

    def inject(i: int) -> None:
        attention.cross, attention.self_attention = rows(i, 1.0), rows(i, task.self_gain)

    latents = _denoise(pipeline, task, [task.source, *[task.target] * count], inject)
    _decode(pipeline, latents)
    return Edits(latents[1:], 2 * first * task.steps)


def plain(pipeline: DiffusionPipeline, task: Task) -> Edits:
    """As many images as a source and its edits, by the pipeline itself, without Prompt-to-Prompt."""
    count = 1 + len(task.taus)
    pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config)
    pipeline(
        [task.source, *[task.target] * len(task.taus)],
        num_inference_steps=task.steps,
        guidance_scale=task.guidance_scale,
        generator=torch.Generator().manual_seed(task.seed),
        output_type="np",
    )
    return Edits(None, 2 * count * task.steps)


def _denoise(pipeline: DiffusionPipeline, task: Task, prompts: Sequence[str], inject: Any) -> Tensor:
    """Final latents of the prompts, all from one noise, unconditional rows first; ``inject(i)`` prepares step i."""
    unet, count = pipeline.unet, len(prompts)
    scheduler = DDIMScheduler.from_config(pipeline.scheduler.config)
    scheduler.set_timesteps(task.steps)
    size = unet.config.sample_size
    shape = (1, unet.config.in_channels, size, size)
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(task.seed))
    latents = noise.repeat(count, 1, 1, 1).to(unet.device)
    states, added = _encode(pipeline, [*[""] * count, *prompts])
    for i, t in enumerate(scheduler.timesteps):
        inject(i)
        output = unet(
            torch.cat([latents, latents]).to(unet.dtype), t, states, added_cond_kwargs=added
        ).sample.float()
        unconditional, conditional = output.chunk(2)
        latents = scheduler.step(
            unconditional + task.guidance_scale * (conditional - unconditional), t, latents
        ).prev_sample
    return latents


def _encode(pipeline: DiffusionPipeline, prompts: list[str]) -> tuple[Tensor, dict[str, Tensor] | None]:
    """The prompts' hidden states, and for SDXL its added conditions: pooled embeddings and image sizes."""
    unet = pipeline.unet
    if "text_encoder_2" in pipeline.components:
        states, _, pooled, _ = pipeline.encode_prompt(prompts, do_classifier_free_guidance=False)
        if pipeline.config.force_zeros_for_empty_prompt:
            empty = [k for k, prompt in enumerate(prompts) if not prompt]
            states[empty], pooled[empty] = 0, 0
        side = unet.config.sample_size * pipeline.vae_scale_factor
        sizes = torch.tensor([[side, side, 0, 0, side, side]] * len(prompts), device=unet.device)
        added = {"text_embeds": pooled.to(unet.dtype), "time_ids": sizes.to(unet.dtype)}
        return states.to(unet.dtype), added
    tokenizer = pipeline.tokenizer
    ids = tokenizer(prompts, padding="max_length", max_length=tokenizer.model_max_length, return_tensors="pt")
    return pipeline.text_encoder(ids.input_ids.to(unet.device))[0].to(unet.dtype), None


def _decode(pipeline: DiffusionPipeline, latents: Tensor) -> None:
    vae = pipeline.vae
    vae.decode((latents / vae.config.scaling_factor).to(vae.dtype))
