"""Preprocesses images for CLIP: open_clip's own transform, on batches."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from open_clip.transform import MaybeConvertMode, MaybeToTensor, ResizeKeepRatio
from torch import Tensor
from torchvision.transforms import Resize
from torchvision.transforms.v2.functional import resize

from filters.pixels import Pixels


def preprocess(transform: Any, images: Sequence[Pixels], device: torch.device) -> Tensor:
    """Applies open_clip's transform to uint8 images (H, W, 3) of any sizes: (N, 3, h, w) float32 on `device`.

    Images of the model's own size give the same bits as open_clip. Others are resized by torch instead of PIL, in 8
    bits and on the CPU, so that every device sees the same pixels. The difference to PIL, measured before normalisation
    on noise, the worst case: square images differ by at most 1/255 if they shrink and 2/255 if they grow. Other shapes,
    for which PIL may resize columns before rows, differ by at most 2/255 bilinearly, and by 0.5/255 in the mean
    bicubically. The device does one division and one normalisation in fp32: at most 1e-6.

    Args:
        transform: the `Compose` that open_clip makes for inference.
    """
    batches = [
        _apply(transform, torch.from_numpy(np.stack(list(group))).permute(0, 3, 1, 2), device)
        for _, group in groupby(images, key=lambda image: image.shape)
    ]
    return torch.cat(batches)


def _apply(transform: Any, images: Tensor, device: torch.device) -> Tensor:
    for step in transform.transforms:
        if isinstance(step, Resize):
            images = resize(images, step.size, step.interpolation)
        elif isinstance(step, ResizeKeepRatio):
            # It needs PIL's size (width, height), which a tensor does not have.
            picture = SimpleNamespace(size=(images.shape[-1], images.shape[-2]))
            images = resize(images, step.get_params(picture, step.size, step.longest), step.interpolation)
        elif isinstance(step, MaybeToTensor):
            # From page-locked memory the copy to a GPU does not block.
            images = images.contiguous().pin_memory() if device.type == "cuda" else images
            images = images.to(device, non_blocking=True).float().div(255)
        elif not isinstance(step, MaybeConvertMode):
            images = step(images)
    return images
