"""Trains the text encoder and the U-Net together on the latents of drawn scenes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from miniworld.clip_tokenizer import TOKENS, build_tokenizer
from miniworld.scene_captions import random_caption
from miniworld.train.autoencoder import load_latents
from miniworld.train.loop import Recipe, device, fast_matmul, train
from miniworld.train.scene_groups import PER_GROUP, make_group

RECIPE = Recipe(steps=9000, learning_rate=1e-3, warmup=200)
BATCH = 32
WITHOUT_CAPTION = 0.1
SNR_CAP = 5.0


def build_text_encoder() -> CLIPTextModel:
    """Builds the untrained text encoder: shallow, so that a token's feature keeps the token's meaning."""
    tokenizer = build_tokenizer()
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=128,
            intermediate_size=512,
            projection_dim=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=TOKENS,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def build_unet() -> UNet2DConditionModel:
    """Builds the untrained U-Net, with cross- and self-attention at 16×16, 8×8 and 4×4."""
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=4,
        out_channels=4,
        block_out_channels=(64, 96, 128),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D",) * 3,
        up_block_types=("CrossAttnUpBlock2D",) * 3,
        cross_attention_dim=128,
        attention_head_dim=4,
        norm_num_groups=16,
    )


def build_scheduler() -> DDIMScheduler:
    """Builds Stable Diffusion's noise schedule."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type="epsilon",
    )


def loss_weight(alphas_cumprod: Tensor) -> Tensor:
    """Weight min(SNR, γ) / SNR · √(1 + 1/SNR) with γ = 5, for an epsilon loss.

    The first factor is Min-SNR's ("Efficient Diffusion Training via Min-SNR", Hang et al.). The second is the geometric
    mean of the weights of an epsilon loss and a velocity loss. It lifts the noisiest steps, which place the objects:
    there the error of epsilon is too small to learn from.
    """
    snr = alphas_cumprod / (1 - alphas_cumprod)
    return snr.clamp(max=SNR_CAP) / snr * (1 + 1 / snr).sqrt()


def train_denoiser(
    vae: AutoencoderKL,
    images: np.ndarray,
    seed: int,
    folder: Path,
    recipe: Recipe = RECIPE,
    start: tuple[CLIPTextModel, UNet2DConditionModel] | None = None,
) -> tuple[CLIPTextModel, UNet2DConditionModel]:
    """Trains on the groups of `seed`, drawn as uint8 (4·groups, 64, 64, 3), from `start` or from random weights."""
    torch.manual_seed(0)
    text_encoder, unet = start or (build_text_encoder(), build_unet())
    text_encoder, unet = text_encoder.train().to(device()), unet.train().to(device())
    tokenizer = build_tokenizer()
    alphas_cumprod = build_scheduler().alphas_cumprod.to(device())
    means, deviations = load_latents(vae, images, folder)
    scale = vae.config.scaling_factor

    def loss(step: int) -> Tensor:
        rng = np.random.default_rng((3, step))
        generator = torch.Generator().manual_seed(step)
        chosen = rng.integers(len(images), size=BATCH)
        scenes = [make_group(seed, int(k) // PER_GROUP).scenes[int(k) % PER_GROUP] for k in chosen]
        texts = ["" if rng.random() < WITHOUT_CAPTION else random_caption(scene, rng) for scene in scenes]
        ids = tokenizer(texts, padding="max_length", truncation=True, return_tensors="pt").input_ids.to(
            device()
        )
        spread = torch.randn(means[chosen].shape, generator=generator)
        latents = ((means[chosen].float() + deviations[chosen].float() * spread) * scale).to(device())
        noise = torch.randn(latents.shape, generator=generator).to(device())
        timesteps = torch.randint(0, len(alphas_cumprod), (BATCH,), generator=generator).to(device())
        alpha = alphas_cumprod[timesteps]
        signal, sigma = alpha.sqrt()[:, None, None, None], (1 - alpha).sqrt()[:, None, None, None]
        with fast_matmul():
            states = text_encoder(ids).last_hidden_state
            predicted = unet(signal * latents + sigma * noise, timesteps, states).sample
        error = (predicted.float() - noise).square().mean((1, 2, 3))
        return (loss_weight(alpha) * error).mean()

    train("denoiser", nn.ModuleDict({"text_encoder": text_encoder, "unet": unet}), loss, recipe, folder)
    return text_encoder.eval(), unet.eval()
