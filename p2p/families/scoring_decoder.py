"""Scoring decoder: a small autoencoder that replaces a model's own for images that are only scored."""

from __future__ import annotations

from pathlib import Path

from diffusers import AutoencoderTiny
from safetensors import SafetensorError

from conf.messages import error_line
from p2p.errors import ModelError
from p2p.families.family import Family
from p2p.families.vae_decoder import Decoder


def load_scoring_decoder(name: str | Path, family: Family) -> Decoder:
    """Loads an ``AutoencoderTiny`` (TAESD, distilled from a model's autoencoder) to the family's device.

    Args:
        name: a folder written by ``save_pretrained``, or a name on the hub.
        family: the model whose latents it decodes, in the same precision.

    Raises:
        ModelError: it does not load, or has other latent channels or pixels per latent than the family's decoder.
    """
    try:
        tiny = AutoencoderTiny.from_pretrained(
            name, torch_dtype=family.dtype, use_safetensors=True, local_files_only=Path(name).is_dir()
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"{name}: the scoring decoder does not load: {error_line(error)}") from error
    decoder = Decoder(tiny.to(family.device))
    channels, pixels = tiny.config.latent_channels, decoder.pixels_per_latent
    model_channels, model_pixels = family.latent_shape[0], family.decoder.pixels_per_latent
    if (channels, pixels) != (model_channels, model_pixels):
        raise ModelError(
            f"{name}: the scoring decoder has {channels} latent channels and {pixels} pixels a latent, the model has "
            f"{model_channels} and {model_pixels}; use the decoder made for the model"
        )
    return decoder
