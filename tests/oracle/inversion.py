"""Inversion of images as the papers write it, one image at a time, for a pipeline of diffusers with DDIM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from diffusers.models.attention_processor import AttnProcessor, JointAttnProcessor2_0
from numpy.typing import NDArray
from torch import Tensor

import p2p
from tests.oracle import naive
from tests.oracle.prompts import PromptPair, Segment, mapper

PAIR = PromptPair(
    (
        Segment(("a", "red"), ("a", "red")),
        Segment(("ball",), ("hexagon",)),
        Segment(("on", "grass"), ("on", "grass")),
    )
)


def drawn_image(seed: int = 0, size: tuple[int, int] = (16, 16)) -> NDArray[np.uint8]:
    """An image of smooth random colours."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3)).astype(np.float32)
    fine = torch.nn.functional.interpolate(
        torch.from_numpy(coarse).permute(2, 0, 1)[None], size, mode="bilinear"
    )
    return fine[0].permute(1, 2, 0).round().to(torch.uint8).numpy()


@torch.no_grad()
def encoded(pipeline: Any, image: NDArray[np.uint8]) -> Tensor:
    """The mean of the autoencoder's posterior, (1, C, h, w), scaled as the model's latents."""
    pixels = torch.from_numpy(image).float().permute(2, 0, 1)[None] / 255 * 2 - 1
    config = pipeline.vae.config
    return (pipeline.vae.encode(pixels).latent_dist.mean - (config.shift_factor or 0)) * config.scaling_factor


@torch.no_grad()
def ddim_trajectory(
    pipeline: StableDiffusionPipeline, image: NDArray[np.uint8], caption: str, steps: int
) -> list[Tensor]:
    """Latents (1, C, h, w) before each step of DDIM and, last, the image's: conditional, without guidance.

    By ε it is equation 3 of Mokady et al. 2022. By v, latents are x = cos φ x₀ + sin φ ε and a step from φ to ψ is
    x' = cos(φ − ψ) x − sin(φ − ψ) v (Salimans & Ho 2022, appendix D), solved for x.
    """
    scheduler = DDIMScheduler.from_config(pipeline.scheduler.config)
    scheduler.set_timesteps(steps)
    pipeline.unet.set_attn_processor(AttnProcessor())
    text = naive.encode(pipeline, [caption])
    latents = [encoded(pipeline, image)]
    for t in scheduler.timesteps.flip(0):
        z, before = latents[0], int(t) - scheduler.config.num_train_timesteps // steps
        low = scheduler.alphas_cumprod[before] if before >= 0 else scheduler.final_alpha_cumprod
        high = scheduler.alphas_cumprod[t]
        output = pipeline.unet(z, t, text).sample
        if scheduler.config.prediction_type == "epsilon":
            z = (high / low).sqrt() * z + high.sqrt() * (
                (1 / high - 1).sqrt() - (1 / low - 1).sqrt()
            ) * output
        else:
            turn = torch.acos(high.sqrt()) - torch.acos(low.sqrt())
            z = (z + torch.sin(turn) * output) / torch.cos(turn)
        latents.insert(0, z)
    return latents


def compare(
    editor: p2p.Editor,
    pipeline: StableDiffusionPipeline,
    inversion: str,
    tau: float = 0.6,
    steps: int = 5,
    guidance_scale: float = 3.0,
    held: bool = False,
    negatives: Sequence[Tensor] | None = None,
    blend: p2p.Blend | None = None,
    **options: Any,
) -> tuple[p2p.Sweep, naive.NaiveResult]:
    """One sweep of an image against one naive run; τ travels with two others, which must make no difference."""
    image = drawn_image()
    sweep = editor.sweep(
        PAIR.source,
        PAIR.target,
        taus=(0.2, tau, 1.0),
        steps=steps,
        guidance_scale=guidance_scale,
        image=image,
        inversion=inversion,
        blend=blend,
        **options,
    )
    trajectory = ddim_trajectory(pipeline, image, PAIR.source, steps)
    window = editor.family.window
    expected = naive.generate(
        pipeline,
        PAIR.source,
        PAIR.target,
        naive.NaiveEdit(
            mapper=mapper(pipeline.tokenizer, PAIR, "auto", window),
            cross_steps=int(tau * steps + 0.5),
            self_steps=int(0.5 * tau * steps + 0.5),
            unconditional=options.get("inject_unconditional", False),
        ),
        seed=0,
        steps=steps,
        guidance_scale=guidance_scale,
        sampler="ddim",
        starting=trajectory[0],
        held=trajectory if held else None,
        negatives=negatives,
        background=trajectory if blend and blend.background == "image" else None,
        blend=blend and naive_blend(pipeline, blend, steps),
    )
    assert torch.allclose(sweep.source_latents, expected.source_latents, atol=1e-4, rtol=1e-4)
    assert torch.allclose(sweep.edit_latents[1], expected.edit_latents, atol=1e-4, rtol=1e-4)
    assert np.abs(sweep.source - expected.source_image.numpy()).max() <= 1
    assert np.abs(sweep.edits[1] - expected.edit_image.numpy()).max() <= 1
    return sweep, expected


def naive_blend(pipeline: StableDiffusionPipeline, blend: p2p.Blend, steps: int) -> naive.NaiveBlend:
    """Of a word of each prompt of ``PAIR``."""

    def tokens(prompt: str, word: object) -> list[int]:
        return naive.tokens_of_words(pipeline.tokenizer, prompt)[prompt.split().index(str(word))]

    return naive.NaiveBlend(
        source=tokens(PAIR.source, blend.source),
        target=tokens(PAIR.target, blend.target),
        size=(8, 8),
        threshold=blend.threshold,
        start_steps=int(blend.start * steps + 0.5),
    )


def null_texts(
    pipeline: StableDiffusionPipeline, trajectory: Sequence[Tensor], caption: str, guidance_scale: float
) -> list[Tensor]:
    """Unconditional embeddings (1, S, C) of each step: algorithm 1 of Mokady et al. 2022, by the whole DDIM step."""
    steps = len(trajectory) - 1
    scheduler = DDIMScheduler.from_config(pipeline.scheduler.config)
    scheduler.set_timesteps(steps)
    pipeline.unet.set_attn_processor(AttnProcessor())
    pipeline.unet.requires_grad_(False)
    with torch.no_grad():
        null, text = naive.encode(pipeline, [""]), naive.encode(pipeline, [caption])
    z, found = trajectory[0], []
    for i, t in enumerate(scheduler.timesteps):
        null = null.clone().detach().requires_grad_()
        optimizer = torch.optim.Adam([null], lr=1e-2 * (1 - i / 100))
        with torch.no_grad():
            conditional = pipeline.unet(z, t, text).sample
        for _ in range(10):
            unconditional = pipeline.unet(z, t, null).sample
            output = unconditional + guidance_scale * (conditional - unconditional)
            after = scheduler.step(output, t, z).prev_sample
            loss = torch.nn.functional.mse_loss(after, trajectory[i + 1])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if loss.item() < 1e-5 + i * 2e-5:
                break
        found.append(null.detach())
        with torch.no_grad():
            unconditional = pipeline.unet(z, t, null).sample
            output = unconditional + guidance_scale * (conditional - unconditional)
            z = scheduler.step(output, t, z).prev_sample
    return found


@torch.no_grad()
def direct_flow_edit(
    pipeline: Any,
    attention: Any,
    image: NDArray[np.uint8],
    prompts: Sequence[str],
    steps: int,
    guidance_scale: float,
    **options: Any,
) -> Tensor:
    """Final latents (2, C, h, w) of source and edit by a Stable Diffusion 3: DirectEdit, where only the edit is guided.

    ``attention`` is told the step; with it the edit takes the source's maps. The source is left to itself.
    """
    scheduler, transformer = pipeline.scheduler, pipeline.transformer
    scheduler.set_timesteps(steps)
    t, sigma = scheduler.timesteps, scheduler.sigmas
    text, _, pooled, _ = pipeline.encode_prompt(list(prompts), None, None, **options)
    empty, _, nothing, _ = pipeline.encode_prompt([""] * 2, None, None, **options)

    def velocity(x: Tensor, i: int, hidden: Tensor, pools: Tensor) -> Tensor:
        return transformer(x, hidden, pools, t[i].expand(len(x))).sample

    transformer.set_attn_processor(JointAttnProcessor2_0())
    track = [encoded(pipeline, image)]
    for i in reversed(range(steps)):
        track.insert(0, track[0] + (sigma[i] - sigma[i + 1]) * velocity(track[0], i, text[:1], pooled[:1]))
    transformer.set_attn_processor(attention)
    z = torch.cat([track[0], track[0]])
    for i in range(steps):
        attention.step = i
        x = z + track[i + 1] - track[i]
        unguided, v = velocity(
            torch.cat([x, x]), i, torch.cat([empty, text]), torch.cat([nothing, pooled])
        ).chunk(2)
        v[1] = unguided[1] + guidance_scale * (v[1] - unguided[1])
        z = z + (sigma[i + 1] - sigma[i]) * v
    return z


@torch.no_grad()
def flow_edit(
    pipeline: Any,
    image: NDArray[np.uint8],
    prompts: Sequence[str],
    noises: Sequence[Tensor],
    skipped: int,
    scales: tuple[float, float],
    **options: Any,
) -> Tensor:
    """The edit's latents (C, h, w) by a Stable Diffusion 3: algorithm 1 of Kulikov et al. 2024, one noise a step."""
    scheduler, transformer = pipeline.scheduler, pipeline.transformer
    scheduler.set_timesteps(len(noises))
    t, sigma = scheduler.timesteps, scheduler.sigmas
    text, empty, pooled, nothing = pipeline.encode_prompt(list(prompts), None, None, **options)
    transformer.set_attn_processor(JointAttnProcessor2_0())

    def velocity(x: Tensor, i: int, row: int) -> Tensor:
        hidden, pools = (torch.stack([no[row], yes[row]]) for no, yes in ((empty, text), (nothing, pooled)))
        plain, prompted = transformer(torch.cat([x, x]), hidden, pools, t[i].expand(2)).sample.chunk(2)
        return plain + scales[row] * (prompted - plain)

    x = encoded(pipeline, image)
    edited = x
    for i in range(skipped, len(noises)):
        z = (1 - sigma[i]) * x + sigma[i] * noises[i]
        difference = velocity(edited + z - x, i, 1) - velocity(z, i, 0)
        edited = edited + (sigma[i + 1] - sigma[i]) * difference
    return edited[0]


@torch.no_grad()
def rf_inversion_edit(
    pipeline: Any,
    attention: Any,
    image: NDArray[np.uint8],
    prompts: Sequence[str],
    noise: Tensor,
    steps: int,
    guidance_scale: float,
    **options: Any,
) -> Tensor:
    """Final latents (2, C, h, w) by a Stable Diffusion 3: algorithms 1 and 2 of Rout et al. 2024, both guided."""
    scheduler, transformer = pipeline.scheduler, pipeline.transformer
    scheduler.set_timesteps(steps)
    t, sigma = scheduler.timesteps, scheduler.sigmas
    text, empty, pooled, nothing = pipeline.encode_prompt(list(prompts), None, None, **options)
    transformer.set_attn_processor(JointAttnProcessor2_0())
    image_latents = encoded(pipeline, image)
    y = image_latents
    for i in reversed(range(steps)):
        v = transformer(y, empty[:1], nothing[:1], t[i].expand(1)).sample
        v = 0.5 * v + 0.5 * (noise - y) / (1 - sigma[i + 1])
        y = y + (sigma[i] - sigma[i + 1]) * v
    transformer.set_attn_processor(attention)
    x = torch.cat([y, y])
    for i in range(steps):
        attention.step = i
        plain, prompted = transformer(
            torch.cat([x, x]), torch.cat([empty, text]), torch.cat([nothing, pooled]), t[i].expand(4)
        ).sample.chunk(2)
        v = plain + guidance_scale * (prompted - plain)
        if i < int(steps * 0.25 + 0.5):
            v = 0.1 * v + 0.9 * (x - image_latents) / sigma[i]
        x = x + (sigma[i + 1] - sigma[i]) * v
    return x
