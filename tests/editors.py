"""A small InstructPix2Pix with random weights, of diffusers' own classes, as its trainer sets one up."""

from __future__ import annotations

import torch
from diffusers import DDPMScheduler, StableDiffusionInstructPix2PixPipeline, UNet2DConditionModel
from transformers import CLIPTextModel

from tests.models import autoencoder, clip_config, clip_tokenizer


def instruct_pix2pix() -> StableDiffusionInstructPix2PixPipeline:
    """16×16 pixels, 8×8 latents, and a U-Net of 8 channels in: the noise and the image to be edited."""
    tokenizer = clip_tokenizer()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return StableDiffusionInstructPix2PixPipeline(
            vae=autoencoder(),
            text_encoder=CLIPTextModel(clip_config(tokenizer, "quick_gelu")),
            tokenizer=tokenizer,
            unet=UNet2DConditionModel(
                sample_size=8,
                in_channels=8,
                out_channels=4,
                block_out_channels=(32, 64),
                layers_per_block=1,
                down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
                up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
                cross_attention_dim=32,
                attention_head_dim=4,
                norm_num_groups=8,
            ),
            scheduler=DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
