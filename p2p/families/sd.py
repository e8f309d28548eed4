"""Stable Diffusion 1 and 2, and consistency models made from them: a U-Net with cross-attention to one CLIP encoder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor

from p2p.attention.processor import Routing
from p2p.families.family import Conditioning
from p2p.families.pipeline_loader import load_pipeline
from p2p.families.prompt_encoder import PromptEncoder
from p2p.families.unet import InjectedUNet
from p2p.families.vae_decoder import Decoder
from p2p.text.token_windows import PromptWindow, clip_window

HALF = torch.bfloat16


class StableDiffusion(PromptEncoder):
    """A ``p2p.families.family.Family`` over the parts of a ``StableDiffusionPipeline``."""

    prompts: PromptWindow

    def __init__(
        self, pipeline: Any, prompts: PromptWindow, device: torch.device, dtype: torch.dtype
    ) -> None:
        super().__init__(prompts)
        self.device, self.dtype = device, dtype
        self.denoiser = InjectedUNet(pipeline.unet)
        self.embeds_guidance = self.denoiser.embeds_guidance
        self.decoder = Decoder(pipeline.vae)
        self.text_encoder = pipeline.text_encoder.eval().requires_grad_(False)
        self.scheduler_config: Mapping[str, Any] = dict(pipeline.scheduler.config)
        self.latent_shape, self.map_layers = self.denoiser.latent_shape, self.denoiser.map_layers
        self.network: torch.nn.Module = self.denoiser.model
        self.resolution = self.latent_shape[1] * self.decoder.pixels_per_latent

    def _encode(self, prompt: str, cut: bool) -> Conditioning:
        encoded = self.prompts.ids(prompt, cut).to(self.device)
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


def load(
    folder: Path, device: torch.device, dtype: torch.dtype, variant: str | None = None, offload: bool = False
) -> StableDiffusion:
    """Loads a diffusers folder of this family."""
    unsafe: dict[str, Any] = {"safety_checker": None, "requires_safety_checker": False}
    pipeline = load_pipeline(
        StableDiffusionPipeline, folder, device, dtype, offload, variant=variant, **unsafe
    )
    model = StableDiffusion(pipeline, clip_window(folder), device, dtype)
    if offload:
        model.offload(pipeline)
    return model
