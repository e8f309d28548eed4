"""From latents to pixels, by the autoencoder of any family."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Decoder:
    """An ``AutoencoderKL`` of diffusers, with the scaling of its latents."""

    def __init__(self, vae: Any) -> None:
        self.vae = vae.eval().requires_grad_(False)
        config = vae.config
        self.pixels_per_latent = 2 ** (len(config.block_out_channels) - 1)
        self._std = _per_channel(getattr(config, "latents_std", None), 1.0) / config.scaling_factor
        self._mean = _per_channel(getattr(config, "latents_mean", None), 0.0)
        self._mean += getattr(config, "shift_factor", None) or 0.0

    def __call__(self, latents: Tensor) -> NDArray[np.uint8]:
        """Images (N, H, W, 3) for latents (N, C, h, w) fp32."""
        device = self.vae.device
        scaled = latents.to(device) * self._std.to(device) + self._mean.to(device)
        images = self.vae.decode(scaled.to(self.vae.dtype), return_dict=False)[0]
        if self.vae.dtype == torch.float16 and not images.isfinite().all():
            # Some autoencoders, SDXL's first, overflow in half precision; they stay in single from then on.
            self.vae.to(torch.float32)
            images = self.vae.decode(scaled, return_dict=False)[0]
        images = (images.float() / 2 + 0.5).clamp(0, 1) * 255
        return images.round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


def _per_channel(values: list[float] | None, otherwise: float) -> Tensor:
    """(1, C, 1, 1)."""
    return torch.tensor([otherwise] if values is None else values)[None, :, None, None]
