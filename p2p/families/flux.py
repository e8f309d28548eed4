"""FLUX.1: a transformer with joint attention to a T5, which embeds the guidance scale like the timestep.

The prompt is T5's tokens. CLIP gives only the pooled embedding, from a prompt cut to its limit as in the pipeline.
Latents (C, h, w) are packed to h/2 · w/2 tokens of 4C channels for the transformer only.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import FluxPipeline
from torch import Tensor

from p2p.attention.joint_processor import JointAttention
from p2p.attention.routing import Routing
from p2p.families.family import Conditioning
from p2p.families.pipeline_loader import load_pipeline
from p2p.families.prompt_encoder import PromptEncoder
from p2p.families.vae_decoder import Decoder
from p2p.text.token_windows import FLUX_T5_TOKENS, PromptWindow, clip_window, t5_window

HALF = torch.bfloat16


class Flux(PromptEncoder):
    """A ``p2p.families.family.Family`` over the parts of a ``FluxPipeline`` ("dev" or "schnell")."""

    prompts: PromptWindow
    embeds_guidance = True

    def __init__(
        self, folder: Path, pipeline: Any, device: torch.device, dtype: torch.dtype, t5: int
    ) -> None:
        super().__init__(t5_window(folder, t5))
        self.device, self.dtype = device, dtype
        self.network = pipeline.transformer.eval().requires_grad_(False)
        self.decoder = Decoder(pipeline.vae)
        self.clip = pipeline.text_encoder.eval().requires_grad_(False)
        self.t5 = pipeline.text_encoder_2.eval().requires_grad_(False)
        self.clip_window = clip_window(folder)
        self.resolution = pipeline.vae.config.sample_size
        side = self.resolution // self.decoder.pixels_per_latent
        config = self.network.config
        self.latent_shape = (config.in_channels // 4, side, side)
        self.map_layers = {(side // 2, side // 2): config.num_layers + config.num_single_layers}
        self.scheduler_config: Mapping[str, Any] = {
            **pipeline.scheduler.config,
            "_image_tokens": (side // 2) ** 2,
            "_even_times": True,
        }
        self.attention = JointAttention(self.window)
        self.network.set_attn_processor(self.attention)
        self.text_ids = torch.zeros(self.window, 3, device=device, dtype=dtype)
        self.image_ids = _image_ids(side // 2).to(device, dtype)

    def _encode(self, prompt: str, cut: bool) -> Conditioning:
        t5 = self.t5(self.prompts.ids(prompt, cut).input_ids.to(self.device))[0][0]
        clip = self.clip(self.clip_window.ids(prompt, cut=True).input_ids.to(self.device))
        return t5.to(self.dtype), clip.pooler_output[0].to(self.dtype)

    def denoise(
        self, latents: Tensor, timesteps: Tensor, conditioning: Conditioning, routing: Routing
    ) -> Tensor:
        text, pooled, guidance = conditioning
        with self.attention.routed(routing):
            output = self.network(
                hidden_states=pack(latents.to(self.dtype)),
                timestep=timesteps / 1000,
                guidance=guidance if self.network.config.guidance_embeds else None,
                encoder_hidden_states=text,
                pooled_projections=pooled,
                txt_ids=self.text_ids,
                img_ids=self.image_ids,
                return_dict=False,
            )
        return unpack(output[0].float(), self.latent_shape)


def pack(latents: Tensor) -> Tensor:
    """Packs latents (B, C, h, w) to tokens (B, h/2 · w/2, 4C), one for each square of 2×2."""
    B, C, h, w = latents.shape
    squares = latents.view(B, C, h // 2, 2, w // 2, 2)
    return squares.permute(0, 2, 4, 1, 3, 5).reshape(B, h // 2 * (w // 2), 4 * C)


def unpack(tokens: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Unpacks tokens (B, h/2 · w/2, 4C) to latents (B, C, h, w) of a shape (C, h, w)."""
    C, h, w = shape
    squares = tokens.view(len(tokens), h // 2, w // 2, C, 2, 2)
    return squares.permute(0, 3, 1, 4, 2, 5).reshape(len(tokens), C, h, w)


def _image_ids(side: int) -> Tensor:
    """Makes the position ids (side², 3) of the tokens: zero, row, column."""
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    return torch.stack([torch.zeros_like(rows), rows, columns], -1).flatten(0, 1)


def load(
    folder: Path,
    device: torch.device,
    dtype: torch.dtype,
    max_sequence_length: int = FLUX_T5_TOKENS,
    variant: str | None = None,
    offload: bool = False,
    on_host: Collection[str] = (),
    quantization: Any = None,
) -> Flux:
    """Loads a diffusers folder of this family; ``max_sequence_length`` is the pipeline's."""
    pipeline = load_pipeline(
        FluxPipeline, folder, device, dtype, offload, on_host, quantization, variant=variant
    )
    model = Flux(folder, pipeline, device, dtype, max_sequence_length)
    if offload:
        model.offload(pipeline)
    return model
