"""Limits of a model that decide whether an option can have an effect on it. Its weights and torch are not loaded."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conf.messages import error_line
from p2p.errors import ModelError, P2PError
from p2p.models.family_registry import family_name
from p2p.models.model_folder import local_folder

NEEDS_UNCONDITIONAL = ("negative_prompt", "null_text")
"""Inversions that change the prompt of unconditional rows."""


@dataclass(frozen=True)
class ModelLimits:
    """What a model can do.

    Attributes:
        unconditional: whether it has rows without the prompt; a model that embeds the guidance scale has none.
        least_size: share of the latents' side that its smallest layer of attention has; 0 if it is not known.
        image_size: height and width in pixels of the images that it takes and makes, None if they are not known.
    """

    unconditional: bool = True
    least_size: float = 0.0
    image_size: tuple[int, int] | None = None

    def check(
        self,
        negative_prompt: str | None,
        guidance_interval: Sequence[float] | None,
        self_max_size: float | None,
    ) -> None:
        """Raises P2PError for a value of these options that the model cannot carry out."""
        for name, value in (("negative_prompt", negative_prompt), ("guidance_interval", guidance_interval)):
            if value is not None and not self.unconditional:
                raise P2PError(f"{name} does not work with a model that embeds the guidance scale; remove it")
        if self_max_size is not None and self_max_size**2 < self.least_size**2 - 1e-6:
            raise P2PError(
                f"self_max_size = {self_max_size} leaves no layer of the model to inject into; "
                f"it must be {self.least_size:.3g} or more"
            )

    def check_image(self, image_size: tuple[int, int], inversion: str) -> None:
        """Raises P2PError for an image (height, width), or an inversion of it, that the model does not take."""
        if self.image_size is not None and image_size != self.image_size:
            (height, width), (wanted_height, wanted_width) = image_size, self.image_size
            raise P2PError(
                f"image has {width}×{height} pixels; the model takes {wanted_width}×{wanted_height}: crop or resize it"
            )
        if not self.unconditional and inversion in NEEDS_UNCONDITIONAL:
            raise P2PError(
                f"inversion={inversion!r} does not work with a model that embeds the guidance scale; use 'direct'"
            )


def model_limits(model: str | Path, revision: str | None = None, family: str | None = None) -> ModelLimits:
    """Reads the limits of a model from the configs in its folder. The limits of a family plugin are not known.

    The arguments are those of ``p2p.load``.

    Raises:
        ModelError: there is no such model, its family is not supported, or a config is damaged.
    """
    if family is not None:
        return ModelLimits()
    name, folder = family_name(model, revision), local_folder(model, revision, whole=False)
    vae = _config(folder, "vae")
    scale = 2 ** (len(vae.get("block_out_channels", (0,))) - 1)
    if name == "flux":
        side = vae.get("sample_size", 0) // scale * scale
        return ModelLimits(unconditional=False, least_size=1 / 2, image_size=(side, side) if side else None)
    if name == "sd3":
        transformer = _config(folder, "transformer")
        side, patch = transformer.get("sample_size", 128), transformer.get("patch_size", 2)
        return ModelLimits(least_size=side // patch / side, image_size=(side * scale, side * scale))
    unet = _config(folder, "unet")
    size = unet.get("sample_size") or 0
    height, width = (size, size) if isinstance(size, int) else size
    return ModelLimits(
        unet.get("time_cond_proj_dim") is None,
        _least_share(unet),
        (height * scale, width * scale) if size and vae else None,
    )


def _config(folder: Path, part: str) -> Mapping[str, Any]:
    path = folder / part / "config.json"
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}  # the model's own loading reports a missing part
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(f"{path} is damaged: {error_line(error)}") from error


def _least_share(unet: Mapping[str, Any]) -> float:
    """Computes the share of the latents' side in a U-Net's deepest level with cross-attention. 0 if it is not known."""
    down, up = unet.get("down_block_types", ()), unet.get("up_block_types", ())
    deepest = len(down) - 1
    levels = {level for level, block in enumerate(down) if "CrossAttn" in block}
    levels |= {deepest - place for place, block in enumerate(up) if "CrossAttn" in block}
    if "CrossAttn" in (unet.get("mid_block_type", "UNetMidBlock2DCrossAttn") or ""):
        levels.add(deepest)
    size = unet.get("sample_size")
    if not levels or not size:
        return 0.0
    sides = [size, size] if isinstance(size, int) else list(size)
    smallest = sides
    for _ in range(max(levels)):
        smallest = [-(-side // 2) for side in smallest]
    return math.sqrt(math.prod(smallest) / math.prod(sides))
