"""Image models of transformers, from a local folder or the hub, with weights in safetensors only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoImageProcessor

from filters.errors import FilterError, library_errors
from filters.pixels import Images, Pixels, encode_distinct

BATCH_SIZE = 16


class HfImageModel:
    """A model and its image processor on a device. Made by `load_image_model`.

    Every batch is filled up to one size, so that on CPU the result for an image does not depend, to the last bit, on
    the other images.
    """

    def __init__(self, model: Any, processor: Any, device: torch.device) -> None:
        self.model, self.processor, self.device = model, processor, device

    @torch.inference_mode()
    def __call__(self, images: Images, read: Callable[[Any], Tensor]) -> Tensor:
        """Applies `read` to the model's output, one entry an image: float32 on the CPU. Runs equal images once.

        Raises:
            FilterError: images of another type or shape than uint8 (H, W, 3) or PIL.
        """
        results = encode_distinct(images, lambda distinct: self._run(distinct, read))
        return torch.stack(results) if results else torch.zeros(0, 1)

    def _run(self, images: list[Pixels], read: Callable[[Any], Tensor]) -> Iterator[Tensor]:
        for start in range(0, len(images), BATCH_SIZE):
            batch = images[start : start + BATCH_SIZE]
            filled = batch + batch[-1:] * (BATCH_SIZE - len(batch))
            pixels = self.processor(filled, return_tensors="pt")["pixel_values"].to(self.device)
            yield from read(self.model(pixel_values=pixels))[: len(batch)].float().cpu()


def load_image_model(auto_class: Any, model: str, revision: str | None, device: str) -> HfImageModel:
    """Loads a model in fp32, ready to run.

    Args:
        auto_class: one of the Auto classes of transformers.
        model: a folder, for which nothing is fetched, or `owner/name` on the hub.
        revision: branch, tag or commit on the hub.
        device: "auto" (a GPU if there is one), "cpu", "cuda", …

    Raises:
        FilterError: no such model or device, or weights that are not safetensors.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if not Path(model).is_dir() and (model.startswith((".", "/", "~")) or model.count("/") != 1):
        raise FilterError(f"{model}: no such folder; give a folder, or owner/name of the hub")
    with library_errors(f"{model} cannot be loaded"):
        place = torch.device(device)
        processor = AutoImageProcessor.from_pretrained(model, revision=revision, trust_remote_code=False)
        loaded = auto_class.from_pretrained(
            model, revision=revision, use_safetensors=True, trust_remote_code=False, dtype=torch.float32
        )
        return HfImageModel(loaded.to(place).eval().requires_grad_(False), processor, place)
