"""Stable Diffusion XL: a U-Net with cross-attention to two CLIP text encoders side by side, and a pooled embedding.

A position of the text is one token, with the second-to-last hidden states of both encoders concatenated. The second
encoder's pooled embedding and sizes of the image are added to the timestep's embedding. All rows have the same sizes:
original and target size are the model's, without a crop.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionXLPipeline
from torch import Tensor

from p2p.attention.processor import Routing
from p2p.families.family import PROMPTS_CACHED, Conditioning
from p2p.families.unet import InjectedUNet
from p2p.families.vae_decoder import Decoder
from p2p.text.clip_text_encoders import ClipPair
from p2p.text.words import TokenizedPrompt

HALF = torch.float16


class StableDiffusionXL:
    """A ``p2p.families.family.Family`` over the parts of a ``StableDiffusionXLPipeline``."""

    def __init__(self, pipeline: Any, clip: ClipPair, device: torch.device, dtype: torch.dtype) -> None:
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
        self._cached = lru_cache(PROMPTS_CACHED)(self._encode)

    @property
    def window(self) -> int:
        return self.clip.windows[0].limit

    def fit(self, prompt: str) -> str:
        return self.clip.fit(prompt)

    def tokenize(self, prompt: str) -> TokenizedPrompt:
        return self.clip.tokenize(prompt)

    def encode(self, prompt: str) -> Conditioning:
        return self._cached(prompt)

    def unconditional(self) -> Conditioning:
        empty = self._cached("")
        return tuple(map(torch.zeros_like, empty)) if self.zero_unconditional else empty

    def _encode(self, prompt: str) -> Conditioning:
        hidden, (_, second) = self.clip.encode(prompt)
        return hidden.to(self.dtype), second.text_embeds[0].to(self.dtype)

    def denoise(
        self, latents: Tensor, timesteps: Tensor, conditioning: Conditioning, routing: Routing
    ) -> Tensor:
        text, pooled, *guidance = conditioning
        added = {"text_embeds": pooled, "time_ids": self.time_ids.expand(len(latents), -1)}
        return self.denoiser(latents, timesteps, text, routing, added, guidance[0] if guidance else None)


def load(folder: Path, device: torch.device, dtype: torch.dtype) -> StableDiffusionXL:
    """Load a diffusers folder of this family."""
    pipeline = StableDiffusionXLPipeline.from_pretrained(
        folder,
        dtype=dtype,
        use_safetensors=True,
        local_files_only=True,
        feature_extractor=None,
        image_encoder=None,
        add_watermarker=False,
    )
    pipeline.to(device)
    return StableDiffusionXL(pipeline, ClipPair(folder, pipeline), device, dtype)
