"""Builds models of published shapes with random weights, which cost what the trained ones cost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import open_clip
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DiffusionPipeline,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from open_clip.transform import PreprocessCfg, image_transform_v2
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    PreTrainedTokenizerFast,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

import filters
import miniworld


def save_sd15(folder: Path, resolution: int) -> Path:
    """Save a Stable Diffusion 1.5 for a resolution in pixels, in fp16; an existing folder is kept."""
    return _save(folder, lambda: _sd15(resolution))


def save_sdxl(folder: Path, resolution: int) -> Path:
    """Save a Stable Diffusion XL for a resolution in pixels, in fp16; an existing folder is kept."""
    return _save(folder, lambda: _sdxl(resolution))


def save_sd35(folder: Path, resolution: int) -> Path:
    """Save a Stable Diffusion 3.5 medium without its T5, in fp16; an existing folder is kept."""
    return _save(folder, lambda: _sd35(resolution))


def save_flux(folder: Path, resolution: int) -> Path:
    """Save a FLUX.1 dev with two of T5's 24 layers, which run once a prompt, in bf16; an existing folder is kept."""
    return _save(folder, lambda: _flux(resolution), torch.bfloat16)


def random_clip(name: str, device: str) -> filters.Clip:
    """An untrained CLIP of open_clip's shape ``name``; nothing is downloaded."""
    model = open_clip.create_model(name).to(device).eval().requires_grad_(False)
    config = PreprocessCfg(**open_clip.get_model_preprocess_cfg(model))
    return filters.Clip(
        model, open_clip.get_tokenizer(name), image_transform_v2(config, is_train=False), batch_size=64
    )


def sd15_unet(resolution: int) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=resolution // 8,
        cross_attention_dim=768,
        attention_head_dim=8,
        block_out_channels=(320, 640, 1280, 1280),
    )


def sdxl_unet(resolution: int) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=resolution // 8,
        block_out_channels=(320, 640, 1280),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2, 10),
        cross_attention_dim=2048,
        attention_head_dim=(5, 10, 20),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=2816,
    )


def sd35_transformer(resolution: int) -> SD3Transformer2DModel:
    return SD3Transformer2DModel(
        sample_size=resolution // 8,
        patch_size=2,
        in_channels=16,
        out_channels=16,
        num_layers=24,
        attention_head_dim=64,
        num_attention_heads=24,
        joint_attention_dim=4096,
        caption_projection_dim=1536,
        pooled_projection_dim=2048,
        pos_embed_max_size=384,
        dual_attention_layers=tuple(range(13)),
        qk_norm="rms_norm",
    )


def flux_transformer() -> FluxTransformer2DModel:
    return FluxTransformer2DModel(guidance_embeds=True)


def _save(folder: Path, make: Callable[[], DiffusionPipeline], dtype: torch.dtype = torch.float16) -> Path:
    if not (folder / "model_index.json").exists():
        torch.manual_seed(0)
        # Made in this precision: the weights of FLUX in fp32 take 48 GB.
        before = torch.get_default_dtype()
        torch.set_default_dtype(dtype)
        try:
            make().to(dtype).save_pretrained(folder)
        finally:
            torch.set_default_dtype(before)
    return folder


def _sd35(resolution: int) -> StableDiffusion3Pipeline:
    tokenizer = _tokenizer()
    return StableDiffusion3Pipeline(
        transformer=sd35_transformer(resolution),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=_autoencoder(resolution, 1.5305, channels=16),
        text_encoder=CLIPTextModelWithProjection(_text_config(tokenizer, 768, 12, 12)),
        tokenizer=tokenizer,
        text_encoder_2=CLIPTextModelWithProjection(_text_config(tokenizer, 1280, 32, 20)),
        tokenizer_2=tokenizer,
        text_encoder_3=None,
        tokenizer_3=None,
    )


def _flux(resolution: int) -> FluxPipeline:
    tokenizer = _tokenizer()
    letters = [(letter, -4.0) for letter in "abcdefghijklmnopqrstuvwxyz"]
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -2.0), ("▁", -3.0), *letters]
    return FluxPipeline(
        transformer=flux_transformer(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
        vae=_autoencoder(resolution, 0.3611, channels=16),
        text_encoder=CLIPTextModel(_text_config(tokenizer, 768, 12, 12)),
        tokenizer=tokenizer,
        text_encoder_2=T5EncoderModel(
            T5Config(
                vocab_size=32128,
                d_model=4096,
                d_kv=64,
                d_ff=10240,
                num_layers=2,
                num_heads=64,
                feed_forward_proj="gated-gelu",
                use_cache=False,
            )
        ),
        tokenizer_2=T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=512),
    )


def _sd15(resolution: int) -> StableDiffusionPipeline:
    tokenizer = _tokenizer()
    return StableDiffusionPipeline(
        vae=_autoencoder(resolution),
        text_encoder=CLIPTextModel(_text_config(tokenizer, 768, 12, 12)),
        tokenizer=tokenizer,
        unet=sd15_unet(resolution),
        scheduler=_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _sdxl(resolution: int) -> StableDiffusionXLPipeline:
    tokenizer = _tokenizer()
    return StableDiffusionXLPipeline(
        vae=_autoencoder(resolution, scaling_factor=0.13025),
        text_encoder=CLIPTextModel(_text_config(tokenizer, 768, 12, 12)),
        text_encoder_2=CLIPTextModelWithProjection(_text_config(tokenizer, 1280, 32, 20)),
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        unet=sdxl_unet(resolution),
        scheduler=_scheduler(),
        add_watermarker=False,
    )


def _autoencoder(resolution: int, scaling_factor: float = 0.18215, channels: int = 4) -> AutoencoderKL:
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        latent_channels=channels,
        sample_size=resolution,
        scaling_factor=scaling_factor,
    )


def _text_config(tokenizer: PreTrainedTokenizerFast, width: int, layers: int, heads: int) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=49408,
        hidden_size=width,
        intermediate_size=4 * width,
        projection_dim=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        max_position_embeddings=77,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def _tokenizer() -> PreTrainedTokenizerFast:
    tokenizer = PreTrainedTokenizerFast.from_pretrained(miniworld.MODEL, subfolder="tokenizer")
    tokenizer.model_max_length = 77
    return tokenizer


def _scheduler() -> DDIMScheduler:
    return DDIMScheduler.from_pretrained(miniworld.MODEL, subfolder="scheduler")
