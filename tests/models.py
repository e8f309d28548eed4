"""Small diffusion models with random weights, made of the libraries' own classes, saved as diffusers folders.

They are shaped like Stable Diffusion 1 (epsilon), 2 (v-prediction), XL and 3, FLUX, and PixArt-Σ: whatever loads
those loads these. All make 16×16 pixels from 8×8 latents.
"""

from __future__ import annotations

import re
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderTiny,
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    PixArtSigmaPipeline,
    PixArtTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

from miniworld.clip_tokenizer import END, byte_pair_tokenizer

TOKENS = 20
T5_TOKENS = 24

# Words that the vocabulary knows whole. Any other word falls into several tokens ("hexagon", "umbrella").
WORDS = """
    a an the of and with on in at by under photo drawing mosaic red blue green yellow white black ball box
    cone star heart tree house boat cat dog grass sand snow water lava day night sunset storm sky small large
"""


def clip_tokenizer(pad_token: str = END) -> CLIPTokenizer:
    """A CLIP tokenizer with a byte-pair vocabulary of some 700 entries, laid out like the real one's."""
    return byte_pair_tokenizer([WORDS] * 2, min_frequency=1, tokens=TOKENS, pad_token=pad_token)


def save_stable_diffusion(
    folder: Path,
    version: int,
    seed: int = 0,
    guidance: int | None = None,
    size: int | tuple[int, int] = 8,
) -> Path:
    """Save a Stable Diffusion of 16×16 pixels, 8×8 latents, 20 tokens, two resolutions and width 32.

    Args:
        folder: where to save; made if it is not there.
        version: 1 (epsilon, end token as padding) or 2 (v-prediction, "!" as padding, linear projections,
            heads of one size).
        seed: of the weights.
        guidance: width of the embedding of guidance, which consistency models have.
        size: side of the latents, or height and width.
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
                    sample_size=size,
                    block_out_channels=(32, 64),
                    layers_per_block=1,
                    down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
                    up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
                    cross_attention_dim=32,
                    attention_head_dim=4 if version == 1 else (2, 4),
                    use_linear_projection=version == 2,
                    time_cond_proj_dim=guidance,
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


def save_stable_diffusion_3(folder: Path, version: str = "3.5", t5: bool = True) -> Path:
    """Save a Stable Diffusion 3 of 4×4 image tokens and three blocks.

    Args:
        folder: where to save; made if it is not there.
        version: "3", or "3.5": norms of queries and keys, and attention among pixels in the first block.
        t5: whether it has its T5.
    """
    tokenizers = clip_tokenizer(), clip_tokenizer(pad_token="!")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        pipeline = StableDiffusion3Pipeline(
            transformer=with_sharp_attention(
                SD3Transformer2DModel(
                    sample_size=8,
                    patch_size=2,
                    in_channels=4,
                    out_channels=4,
                    num_layers=3,
                    attention_head_dim=8,
                    num_attention_heads=4,
                    joint_attention_dim=96,
                    caption_projection_dim=32,
                    pooled_projection_dim=32 + 48,
                    pos_embed_max_size=8,
                    dual_attention_layers=(0,) if version == "3.5" else (),
                    qk_norm="rms_norm" if version == "3.5" else None,
                )
            ),
            scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
            vae=autoencoder(shift=0.1),
            text_encoder=CLIPTextModelWithProjection(clip_config(tokenizers[0], "quick_gelu")),
            text_encoder_2=CLIPTextModelWithProjection(clip_config(tokenizers[1], "gelu", width=48)),
            text_encoder_3=t5_encoder(width=96) if t5 else None,
            tokenizer=tokenizers[0],
            tokenizer_2=tokenizers[1],
            tokenizer_3=t5_tokenizer() if t5 else None,
        )
    pipeline.save_pretrained(folder)
    return folder


def save_flux(folder: Path, guidance: bool = True) -> Path:
    """Save a FLUX of 4×4 image tokens, one block with two streams and two with one.

    Args:
        folder: where to save; made if it is not there.
        guidance: whether guidance is embedded and the schedule shifted by the image's size, as in the "dev" model, or
            neither, as in "schnell".
    """
    tokenizer = clip_tokenizer()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        pipeline = FluxPipeline(
            transformer=with_sharp_attention(
                FluxTransformer2DModel(
                    in_channels=16,
                    num_layers=1,
                    num_single_layers=2,
                    attention_head_dim=8,
                    num_attention_heads=4,
                    joint_attention_dim=96,
                    pooled_projection_dim=32,
                    guidance_embeds=guidance,
                    axes_dims_rope=(2, 2, 4),
                )
            ),
            scheduler=FlowMatchEulerDiscreteScheduler(
                shift=3.0 if guidance else 1.0, use_dynamic_shifting=guidance
            ),
            vae=autoencoder(shift=0.1),
            text_encoder=CLIPTextModel(clip_config(tokenizer, "quick_gelu")),
            text_encoder_2=t5_encoder(width=96),
            tokenizer=tokenizer,
            tokenizer_2=t5_tokenizer(),
        )
    pipeline.save_pretrained(folder)
    return folder


def save_pixart_sigma(folder: Path) -> Path:
    """Save a PixArt-Σ of 4×4 image tokens and two blocks, which predicts the noise and its variance."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        pipeline = PixArtSigmaPipeline(
            transformer=with_sharp_attention(
                PixArtTransformer2DModel(
                    sample_size=8,
                    patch_size=2,
                    in_channels=4,
                    out_channels=8,
                    num_layers=2,
                    attention_head_dim=8,
                    num_attention_heads=4,
                    cross_attention_dim=32,
                    caption_channels=96,
                )
            ),
            scheduler=DPMSolverMultistepScheduler(
                beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"
            ),
            vae=autoencoder(),
            text_encoder=t5_encoder(width=96),
            tokenizer=t5_tokenizer(),
        )
    pipeline.save_pretrained(folder)
    return folder


def t5_tokenizer() -> T5Tokenizer:
    """A T5 tokenizer that knows the same words whole as ``clip_tokenizer``, and spells out the others."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -2.0), ("▁", -3.0)]
    pieces += [(f"▁{word}", -2.0) for word in dict.fromkeys(WORDS.split())]
    pieces += [
        ("hex", -4.0),
        ("agon", -4.0),
        *((char, -6.0) for char in "abcdefghijklmnopqrstuvwxyz0123456789,.!'-"),
    ]
    return T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=T5_TOKENS)


def t5_encoder(width: int) -> T5EncoderModel:
    """Two layers."""
    return T5EncoderModel(
        T5Config(
            vocab_size=len(t5_tokenizer()),
            d_model=width,
            d_kv=8,
            d_ff=64,
            num_layers=2,
            num_heads=4,
            feed_forward_proj="gated-gelu",
            use_cache=False,
        )
    )


def autoencoder(shift: float | None = None) -> AutoencoderKL:
    """Four channels, two pixels a latent; ``shift`` is the mean of its latents."""
    return AutoencoderKL(
        block_out_channels=(16, 32),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=16,
        shift_factor=shift,
    )


def save_tiny(folder: Path, latent_channels: int = 4, levels: int = 2) -> Path:
    """Save an ``AutoencoderTiny`` for latents of ``autoencoder``'s shape."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tiny = AutoencoderTiny(
            encoder_block_out_channels=(8,) * levels,
            decoder_block_out_channels=(8,) * levels,
            num_encoder_blocks=(1,) * levels,
            num_decoder_blocks=(1,) * levels,
            latent_channels=latent_channels,
        )
    tiny.save_pretrained(folder)
    return folder


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
        if name.endswith(("to_q.weight", "to_k.weight", "_q_proj.weight", "_k_proj.weight")) or re.search(
            r"norm(_added)?_[qk].weight$", name
        ):
            weight.mul_(2)
    return denoiser
