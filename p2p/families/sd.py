"""Stable Diffusion 1 and 2: a U-Net with cross-attention to one CLIP text encoder."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from numpy.typing import NDArray
from torch import Tensor

from p2p.attention import PLAIN, InjectedAttention, Routing
from p2p.families.family import Conditioning
from p2p.families.tokenizing import PromptWindow
from p2p.words import TokenizedPrompt

PROMPTS_CACHED = 512


class StableDiffusion:
    """A ``p2p.families.family.Family`` over the parts of a ``StableDiffusionPipeline``."""

    def __init__(self, pipeline: Any, device: torch.device, dtype: torch.dtype) -> None:
        self.device, self.dtype = device, dtype
        self.unet = pipeline.unet.eval().requires_grad_(False)
        self.vae = pipeline.vae.eval().requires_grad_(False)
        self.text_encoder = pipeline.text_encoder.eval().requires_grad_(False)
        self.scheduler_config: Mapping[str, Any] = dict(pipeline.scheduler.config)
        self.prompts = PromptWindow(
            pipeline.tokenizer,
            min(pipeline.tokenizer.model_max_length, self.text_encoder.config.max_position_embeddings),
        )
        size = self.unet.config.sample_size
        height, width = (size, size) if isinstance(size, int) else size
        self.latent_shape = (self.unet.config.in_channels, height, width)
        self.resolution = height * 2 ** (len(self.vae.config.block_out_channels) - 1)
        self.attention = InjectedAttention()
        self.unet.set_attn_processor(
            {
                # The transformers' attn1 is self-, attn2 cross-attention; any other attention stays as it is.
                name: self.attention if name.endswith(("attn1.processor", "attn2.processor")) else processor
                for name, processor in self.unet.attn_processors.items()
            }
        )
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
        # One prompt a call: what a prompt becomes must not depend on its company.
        encoded = self.prompts.ids(prompt).to(self.device)
        masked = getattr(self.text_encoder.config, "use_attention_mask", False)
        hidden = self.text_encoder(
            encoded.input_ids, attention_mask=encoded.attention_mask if masked else None
        )
        return (hidden[0][0].to(self.dtype),)

    def denoise(
        self, latents: Tensor, timesteps: Tensor, conditioning: Conditioning, routing: Routing
    ) -> Tensor:
        (prompts,) = conditioning
        self.attention.routing = routing
        try:
            output = self.unet(latents.to(self.dtype), timesteps, prompts, return_dict=False)[0]
        finally:
            self.attention.routing = PLAIN
        return output.float()

    def decode(self, latents: Tensor) -> NDArray[np.uint8]:
        scaled = latents.to(self.device) / self.vae.config.scaling_factor
        images = self.vae.decode(scaled.to(self.vae.dtype), return_dict=False)[0]
        if self.vae.dtype == torch.float16 and not images.isfinite().all():
            # Some VAEs overflow in half precision; those stay in single precision from then on.
            self.vae.to(torch.float32)
            images = self.vae.decode(scaled, return_dict=False)[0]
        images = (images.float() / 2 + 0.5).clamp(0, 1) * 255
        return images.round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


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
    return StableDiffusion(pipeline.to(device), device, dtype)
