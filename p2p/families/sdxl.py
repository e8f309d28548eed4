"""Stable Diffusion XL: a U-Net with cross-attention to two CLIP text encoders side by side, and a pooled embedding.

A position of the text is one token, with the second-to-last hidden states of both encoders concatenated. The second
encoder's pooled embedding and sizes of the image are added to the timestep's embedding. All rows have the same sizes:
original and target size are the model's, without a crop.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionXLPipeline
from torch import Tensor

from p2p.attention.processor import Routing
from p2p.families.family import Conditioning
from p2p.families.pipeline_loader import load_pipeline
from p2p.families.prompt_encoder import PromptEncoder
from p2p.families.unet import InjectedUNet
from p2p.families.vae_decoder import Decoder
from p2p.text.clip_text_encoders import ClipPair

HALF = torch.bfloat16


class StableDiffusionXL(PromptEncoder):
    """A ``p2p.families.family.Family`` over the parts of a ``StableDiffusionXLPipeline``."""

    def __init__(self, pipeline: Any, clip: ClipPair, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__(clip)
        self.device, self.dtype, self.clip = device, dtype, clip
        self.denoiser = InjectedUNet(pipeline.unet)
        self.embeds_guidance = self.denoiser.embeds_guidance
        self.decoder = Decoder(pipeline.vae, upcast=pipeline.vae.config.force_upcast)
        self.scheduler_config: Mapping[str, Any] = dict(pipeline.scheduler.config)
        self.zero_unconditional = bool(pipeline.config.force_zeros_for_empty_prompt)
        self.latent_shape, self.map_layers = self.denoiser.latent_shape, self.denoiser.map_layers
        self.network: torch.nn.Module = self.denoiser.model
        self.resolution = self.latent_shape[1] * self.decoder.pixels_per_latent
        height, width = (side * self.decoder.pixels_per_latent for side in self.latent_shape[1:])
        self.time_ids = torch.tensor([[height, width, 0, 0, height, width]], dtype=dtype, device=device)

    def unconditional(self) -> Conditioning:
        empty = super().unconditional()
        return tuple(map(torch.zeros_like, empty)) if self.zero_unconditional else empty

    def _encode(self, prompt: str, cut: bool) -> Conditioning:
        hidden, (_, second) = self.clip.encode(prompt, cut)
        return hidden.to(self.dtype), second.text_embeds[0].to(self.dtype)

    def denoise(
        self, latents: Tensor, timesteps: Tensor, conditioning: Conditioning, routing: Routing
    ) -> Tensor:
        text, pooled, *guidance = conditioning
        added = {"text_embeds": pooled, "time_ids": self.time_ids.expand(len(latents), -1)}
        return self.denoiser(latents, timesteps, text, routing, added, guidance[0] if guidance else None)


def load(
    folder: Path, device: torch.device, dtype: torch.dtype, variant: str | None = None, offload: bool = False
) -> StableDiffusionXL:
    """Loads a diffusers folder of this family."""
    pipeline = load_pipeline(
        StableDiffusionXLPipeline, folder, device, dtype, offload, variant=variant, add_watermarker=False
    )
    model = StableDiffusionXL(pipeline, ClipPair(folder, pipeline), device, dtype)
    if offload:
        model.offload(pipeline)
    return model
