"""From images as they come to what the model sees: the model's own transform, on batches."""

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

from filters.measures.pixels import Pixels


def preprocess(transform: Any, images: Sequence[Pixels], device: torch.device) -> Tensor:
    """open_clip's transform over uint8 images (H, W, 3) of any sizes: (N, 3, h, w) float32 on `device`.

    Images of the model's own size come out the same, to the last bit. Others are resized by torch in place of
    PIL, in 8 bits and on the CPU, so that every device sees the same pixels. Measured against PIL on noise, the
    worst there is, before normalisation: square images are within 1/255 where they shrink, 2/255 where they
    grow. Other shapes, where PIL may take columns before rows, are within 2/255 bilinearly, and bicubically
    within 0.5/255 in the mean. What is left to the device is one division and one normalisation in fp32: within 1e-6.

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
            # It asks for PIL's (width, height), which a tensor does not have.
            picture = SimpleNamespace(size=(images.shape[-1], images.shape[-2]))
            images = resize(images, step.get_params(picture, step.size, step.longest), step.interpolation)
        elif isinstance(step, MaybeToTensor):
            # By page-locked memory a GPU takes them while the program goes on.
            images = images.contiguous().pin_memory() if device.type == "cuda" else images
            images = images.to(device, non_blocking=True).float().div(255)
        elif not isinstance(step, MaybeConvertMode):
            images = step(images)
    return images
