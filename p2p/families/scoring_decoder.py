"""A small autoencoder in the place of a model's own, where images are to be judged and not to be kept."""

from __future__ import annotations

from pathlib import Path

from diffusers import AutoencoderTiny
from safetensors import SafetensorError

from conf.messages import error_line
from p2p.errors import ModelError
from p2p.families.family import Family
from p2p.families.vae_decoder import Decoder


def load_tiny(name: str | Path, family: Family) -> Decoder:
    """The decoder of an ``AutoencoderTiny`` (TAESD, distilled from a model's autoencoder), on the family's device.

    Args:
        name: a folder that ``save_pretrained`` wrote, or a name on the hub.
        family: whose latents it is to decode, in the same precision.

    Raises:
        ModelError: it does not load, or decodes latents of another shape or to another size than the family's do.
    """
    try:
        tiny = AutoencoderTiny.from_pretrained(
            name, torch_dtype=family.dtype, use_safetensors=True, local_files_only=Path(name).is_dir()
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = error_line(error)
        raise ModelError(f"{name}: the scoring decoder does not load: {reason}") from error
    decoder = Decoder(tiny.to(family.device))
    shapes = [
        (tiny.config.latent_channels, decoder.pixels_per_latent),
        (family.latent_shape[0], family.decoder.pixels_per_latent),
    ]
    if shapes[0] != shapes[1]:
        raise ModelError(
            f"{name}: the scoring decoder takes {shapes[0][0]} channels to {shapes[0][1]} pixels a latent, the model's "
            f"latents have {shapes[1][0]} and {shapes[1][1]}; take the one that was made for the model"
        )
    return decoder
