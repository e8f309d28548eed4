"""Stable Diffusion 1 and 2, and consistency models made from them: a U-Net with cross-attention to one CLIP encoder."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor

from p2p.attention.processor import Routing
from p2p.families.family import PROMPTS_CACHED, Conditioning
from p2p.families.unet import InjectedUNet
from p2p.families.vae_decoder import Decoder
from p2p.text.token_windows import PromptWindow, clip_window
from p2p.text.words import TokenizedPrompt

HALF = torch.float16


class StableDiffusion:
    """A ``p2p.families.family.Family`` over the parts of a ``StableDiffusionPipeline``."""

    def __init__(
        self, pipeline: Any, prompts: PromptWindow, device: torch.device, dtype: torch.dtype
    ) -> None:
        self.device, self.dtype, self.prompts = device, dtype, prompts
        self.denoiser = InjectedUNet(pipeline.unet)
        self.embeds_guidance = self.denoiser.embeds_guidance
        self.decoder = Decoder(pipeline.vae)
        self.text_encoder = pipeline.text_encoder.eval().requires_grad_(False)
        self.scheduler_config: Mapping[str, Any] = dict(pipeline.scheduler.config)
        self.latent_shape, self.map_layers = self.denoiser.latent_shape, self.denoiser.map_layers
        self.network: torch.nn.Module = self.denoiser.model
        self.resolution = self.latent_shape[1] * self.decoder.pixels_per_latent
        self._cached = lru_cache(PROMPTS_CACHED)(self._encode)

    @property
    def window(self) -> int:
        return self.prompts.limit

    def fit(self, prompt: str) -> str:
        return self.prompts.fit(prompt)

    def tokenize(self, prompt: str) -> TokenizedPrompt:
        return self.prompts.tokenize(prompt)

    def encode(self, prompt: str) -> Conditioning:
        return self._cached(prompt)

    def unconditional(self) -> Conditioning:
        return self._cached("")

    def _encode(self, prompt: str) -> Conditioning:
        # One prompt a call, so that its encoding does not depend on other prompts.
        encoded = self.prompts.ids(prompt).to(self.device)
        masked = getattr(self.text_encoder.config, "use_attention_mask", False)
        hidden = self.text_encoder(
            encoded.input_ids, attention_mask=encoded.attention_mask if masked else None
        )
        return (hidden[0][0].to(self.dtype),)

    def denoise(
        self, latents: Tensor, timesteps: Tensor, conditioning: Conditioning, routing: Routing
    ) -> Tensor:
        text, *guidance = conditioning
        return self.denoiser(latents, timesteps, text, routing, guidance=guidance[0] if guidance else None)


def load(folder: Path, device: torch.device, dtype: torch.dtype) -> StableDiffusion:
    """Load a diffusers folder of this family."""
    pipeline = StableDiffusionPipeline.from_pretrained(
        folder,
        dtype=dtype,
        use_safetensors=True,
        local_files_only=True,
        safety_checker=None,
        feature_extractor=None,
        image_encoder=None,
        requires_safety_checker=False,
    )
    return StableDiffusion(pipeline.to(device), clip_window(folder), device, dtype)
