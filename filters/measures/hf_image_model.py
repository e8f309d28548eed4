"""Models of transformers' that judge images: a local folder or a name on the hub, safetensors alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoImageProcessor

from conf.messages import error_line
from filters.clip.encode_distinct import encode_distinct
from filters.errors import FilterError
from filters.measures.pixels import Images, Pixels

BATCH_SIZE = 16


class Judge:
    """A model and its image processor, on a device. Made by `load`.

    Every batch has one size, filled up where there are fewer images: on CPU what it says of an image does not
    depend, to the last bit, on its company.
    """

    def __init__(self, model: Any, processor: Any, device: torch.device) -> None:
        self.model, self.processor, self.device = model, processor, device

    @torch.inference_mode()
    def __call__(self, images: Images, said: Callable[[Any], Tensor]) -> Tensor:
        """`said` of the model's output, float32 on the CPU, a row an image; equal images are looked at once.

        Raises:
            FilterError: images of another type or shape than uint8 (H, W, 3) or PIL.
        """
        rows = encode_distinct(images, lambda distinct: self._rows(distinct, said))
        return torch.stack(rows) if rows else torch.zeros(0, 1)

    def _rows(self, images: list[Pixels], said: Callable[[Any], Tensor]) -> Iterator[Tensor]:
        for start in range(0, len(images), BATCH_SIZE):
            batch = images[start : start + BATCH_SIZE]
            filled = batch + batch[-1:] * (BATCH_SIZE - len(batch))
            pixels = self.processor(filled, return_tensors="pt")["pixel_values"].to(self.device)
            yield from said(self.model(pixel_values=pixels))[: len(batch)].float().cpu()


def load(kind: Any, model: str, revision: str | None, device: str) -> Judge:
    """A model in fp32, ready to judge.

    Args:
        kind: one of transformers' Auto classes.
        model: a folder, for which nothing is fetched, or `owner/name` on the hub.
        revision: branch, tag or commit on the hub.
        device: "auto" (a GPU if there is one), "cpu", "cuda", …

    Raises:
        FilterError: no such model or device, or weights that are no safetensors.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if not Path(model).is_dir() and (model.startswith((".", "/", "~")) or model.count("/") != 1):
        raise FilterError(f"{model}: no such folder; name one, or owner/name of the hub")
    with _told_as(f"{model} cannot be loaded"):
        place = torch.device(device)
        processor = AutoImageProcessor.from_pretrained(model, revision=revision, trust_remote_code=False)
        loaded = kind.from_pretrained(
            model, revision=revision, use_safetensors=True, trust_remote_code=False, dtype=torch.float32
        )
        return Judge(loaded.to(place).eval().requires_grad_(False), processor, place)


@contextmanager
def _told_as(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise FilterError(f"{what}: {error_line(error)}") from error
