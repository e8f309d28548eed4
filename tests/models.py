"""Small diffusion models with random weights, made of the libraries' own classes, saved as diffusers folders.

They are shaped like Stable Diffusion 1 (epsilon), 2 (v-prediction) and XL: whatever loads those loads these. All make
16×16 pixels from 8×8 latents.
"""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    EulerDiscreteScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from miniworld.tokenizer import END, byte_pair_tokenizer

TOKENS = 20

# Words that the vocabulary knows whole. Any other word falls into several tokens ("hexagon", "umbrella").
WORDS = """
    a an the of and with on in at by under photo drawing mosaic red blue green yellow white black ball box
    cone star heart tree house boat cat dog grass sand snow water lava day night sunset storm sky small large
"""


def clip_tokenizer(pad_token: str = END) -> CLIPTokenizer:
    """A CLIP tokenizer with a byte-pair vocabulary of some 700 entries, laid out like the real one's."""
    return byte_pair_tokenizer([WORDS] * 2, min_frequency=1, tokens=TOKENS, pad_token=pad_token)


def save_stable_diffusion(folder: Path, version: int, seed: int = 0) -> Path:
    """Save a Stable Diffusion of 16×16 pixels, 8×8 latents, 20 tokens, two resolutions and width 32.

    Args:
        folder: where to save; made if it is not there.
        version: 1 (epsilon, end token as padding) or 2 (v-prediction, "!" as padding, linear projections,
            heads of one size).
        seed: of the weights.
    """
    tokenizer = clip_tokenizer(pad_token=END if version == 1 else "!")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        pipeline = StableDiffusionPipeline(
            vae=autoencoder(),
            text_encoder=CLIPTextModel(clip_config(tokenizer, "quick_gelu" if version == 1 else "gelu")),
            tokenizer=tokenizer,
            unet=with_sharp_attention(
                UNet2DConditionModel(
                    sample_size=8,
                    block_out_channels=(32, 64),
                    layers_per_block=1,
                    down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
                    up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
                    cross_attention_dim=32,
                    attention_head_dim=4 if version == 1 else (2, 4),
                    use_linear_projection=version == 2,
                    norm_num_groups=8,
                )
            ),
            scheduler=DDIMScheduler(
                beta_start=0.00085,
                beta_end=0.012,
                beta_schedule="scaled_linear",
                clip_sample=False,
                set_alpha_to_one=False,
                steps_offset=1,
                prediction_type="epsilon" if version == 1 else "v_prediction",
            ),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    pipeline.save_pretrained(folder)
    return folder


def save_stable_diffusion_xl(folder: Path, force_zeros: bool = True) -> Path:
    """Save a Stable Diffusion XL whose second tokenizer pads with "!", as the real one's does.

    Args:
        folder: where to save; made if it is not there.
        force_zeros: the pipeline's ``force_zeros_for_empty_prompt``.
    """
    tokenizers = clip_tokenizer(), clip_tokenizer(pad_token="!")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        pipeline = StableDiffusionXLPipeline(
            vae=autoencoder(),
            text_encoder=CLIPTextModel(clip_config(tokenizers[0], "quick_gelu")),
            text_encoder_2=CLIPTextModelWithProjection(clip_config(tokenizers[1], "gelu", width=48)),
            tokenizer=tokenizers[0],
            tokenizer_2=tokenizers[1],
            unet=with_sharp_attention(
                UNet2DConditionModel(
                    sample_size=8,
                    block_out_channels=(32, 64),
                    layers_per_block=1,
                    down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
                    up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
                    transformer_layers_per_block=(1, 2),
                    cross_attention_dim=32 + 48,
                    attention_head_dim=(2, 4),
                    use_linear_projection=True,
                    addition_embed_type="text_time",
                    addition_time_embed_dim=8,
                    projection_class_embeddings_input_dim=48 + 6 * 8,
                    norm_num_groups=8,
                )
            ),
            scheduler=EulerDiscreteScheduler(
                beta_start=0.00085,
                beta_end=0.012,
                beta_schedule="scaled_linear",
                steps_offset=1,
                timestep_spacing="leading",
            ),
            force_zeros_for_empty_prompt=force_zeros,
            add_watermarker=False,
        )
    pipeline.save_pretrained(folder)
    return folder


def autoencoder() -> AutoencoderKL:
    """Four channels, two pixels a latent."""
    return AutoencoderKL(
        block_out_channels=(16, 32),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=16,
    )


def clip_config(tokenizer: CLIPTokenizer, activation: str, width: int = 32) -> CLIPTextConfig:
    """Two layers."""
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        projection_dim=width,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=TOKENS,
        hidden_act=activation,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


@torch.no_grad()
def with_sharp_attention(denoiser: torch.nn.Module) -> torch.nn.Module:
    """Double the queries and keys: fresh weights attend everywhere alike, and injecting that says little."""
    for name, weight in denoiser.named_parameters():
        if name.endswith(("to_q.weight", "to_k.weight")):
            weight.mul_(2)
    return denoiser
