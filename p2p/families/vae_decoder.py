"""Autoencoder of any family: decodes latents to images, and encodes images to latents."""

from __future__ import annotations

from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from p2p.device_transfer import to_cpu, to_device, wait_for

# First number of latents decoded in one call on a GPU; more are no faster and need much memory.
AT_ONCE = 8


class Decoder:
    """An ``AutoencoderKL`` or ``AutoencoderTiny`` of diffusers, with the scaling of its latents.

    Threads may share it: they take turns.

    Attributes:
        at_once: number of latents decoded in one call, 1 on the CPU: more are no faster, and the rounding of
            convolutions would make an image depend on the others. On a GPU it is halved if memory is short.
    """

    def __init__(self, vae: Any, upcast: bool = False) -> None:
        """``upcast`` means that the autoencoder overflows in half precision."""
        self.vae = vae.eval().requires_grad_(False)
        self._turn = Lock()
        self.at_once = 1 if vae.device.type == "cpu" else AT_ONCE
        if upcast and vae.dtype == torch.float16:
            self.vae.to(torch.float32)
        config = vae.config
        self.pixels_per_latent = 2 ** (len(config.block_out_channels) - 1)
        self._std = _per_channel(getattr(config, "latents_std", None), 1.0) / config.scaling_factor
        self._mean = _per_channel(getattr(config, "latents_mean", None), 0.0)
        self._mean += getattr(config, "shift_factor", None) or 0.0

    def __call__(self, latents: Tensor) -> NDArray[np.uint8]:
        """Decodes latents (N, C, h, w) fp32 to images (N, H, W, 3) uint8. Short memory loses no decoded image."""
        with self._turn:
            return self._decode_all(latents)

    def encode(self, image: NDArray[np.uint8]) -> Tensor:
        """Encodes an image (H, W, 3) to latents (C, h, w) fp32 on the autoencoder's device.

        They are the mean of the posterior, no sample. It is computed in single precision: in half precision the
        encoders of some models overflow.
        """
        pixels = torch.from_numpy(image).permute(2, 0, 1)[None] / 127.5 - 1
        with self._turn:
            dtype = self.vae.dtype
            if dtype != torch.float32:
                self.vae.to(torch.float32)
            try:
                encoded = self.vae.encode(to_device(pixels, self.vae.device))
            finally:
                if dtype != torch.float32:
                    self.vae.to(dtype)
        # An ``AutoencoderTiny`` has no posterior.
        mean = encoded.latent_dist.mean if hasattr(encoded, "latent_dist") else encoded.latents
        return (mean[0] - self._mean[0].to(mean.device)) / self._std[0].to(mean.device)

    def _decode_all(self, latents: Tensor) -> NDArray[np.uint8]:
        device, done = self.vae.device, 0
        scaled = to_device(latents.cpu() * self._std + self._mean, device)
        images = []
        while done < len(scaled):
            pixels = self._try_decode(scaled[done : done + self.at_once])
            if pixels is None:
                self.at_once //= 2
                torch.cuda.empty_cache()
            else:
                images.append(pixels)
                done += len(pixels)
        wait_for(device)
        return torch.cat(images).numpy()

    def _try_decode(self, latents: Tensor) -> Tensor | None:
        """Decodes to images (N, H, W, 3) uint8 in an asynchronous copy to the CPU, or None if memory is too short.

        Raises torch.OutOfMemoryError if it is too short for one image.
        """
        try:
            images = self._decode(latents)
        except torch.OutOfMemoryError:
            if self.at_once == 1:
                raise
            return None
        pixels = ((images.float() / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
        return to_cpu(pixels.permute(0, 2, 3, 1))

    def _decode(self, latents: Tensor) -> Tensor:
        """Decodes latents, and again in single precision those whose images overflowed in half precision.

        SDXL's first autoencoder overflows. An image does not depend on those that were decoded before.
        """
        images: Tensor = self.vae.decode(latents.to(self.vae.dtype), return_dict=False)[0]
        if self.vae.dtype != torch.float16:
            return images
        overflown = ~images.isfinite().flatten(1).all(1)
        if overflown.any():
            self.vae.to(torch.float32)
            try:
                again: Tensor = self.vae.decode(latents[overflown], return_dict=False)[0]
            finally:
                self.vae.to(torch.float16)
            images = images.float()
            images[overflown] = again
        return images


def _per_channel(values: list[float] | None, otherwise: float) -> Tensor:
    """Shapes values of C channels as (1, C, 1, 1), or ``otherwise`` as (1, 1, 1, 1)."""
    return torch.tensor([otherwise] if values is None else values)[None, :, None, None]
