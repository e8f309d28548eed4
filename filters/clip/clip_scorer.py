"""CLIP scorer: encodes images and captions, with a cache, and scores edited image pairs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

from filters.clip.clip_similarity import ClipScores, similarities
from filters.clip.preprocess import preprocess
from filters.errors import FilterError
from filters.pixels import Images, Pixels, encode_distinct

CACHED_CAPTIONS = 4096

Item = TypeVar("Item")


class Clip:
    """CLIP's two encoders, with a cache of caption features. Made by `load_clip`.

    Every batch is filled up to `batch_size`, so that on CPU a feature does not depend, to the last bit, on what else is
    or was scored.
    """

    def __init__(self, model: Any, tokenizer: Any, transform: Any, batch_size: int) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.transform = transform
        self.batch_size = batch_size
        self.device: torch.device = next(model.parameters()).device
        self._captions: OrderedDict[str, Tensor] = OrderedDict()

    def score(
        self,
        inputs: Images,
        outputs: Images,
        input_captions: Sequence[str],
        output_captions: Sequence[str],
    ) -> ClipScores:
        """Scores N edited image pairs under their captions. Encodes equal images once.

        Args:
            inputs, outputs: uint8 (N, H, W, 3), or N images, each uint8 (H, W, 3) or PIL; sizes may differ.
            input_captions, output_captions: N captions each.

        Raises:
            FilterError: images of another type or shape, or lengths that differ.
        """
        lengths = [len(inputs), len(outputs), len(input_captions), len(output_captions)]
        if len(set(lengths)) > 1:
            raise FilterError(
                "{} inputs, {} outputs, {} and {} captions: give as many of each".format(*lengths)
            )
        count = lengths[0]
        images = self.encode_images([*inputs, *outputs])
        texts = self.encode_captions([*input_captions, *output_captions])
        return similarities(images[:count], images[count:], texts[:count], texts[count:])

    @torch.inference_mode()
    def encode_images(self, images: Images) -> Tensor:
        """Encodes N images, given as for `score`, to unit features (N, D), float32 on the model's device."""

        def encode(batch: list[Pixels]) -> Tensor:
            return self.model.encode_image(preprocess(self.transform, batch, self.device))

        return self._stack(encode_distinct(images, lambda distinct: self._encode(distinct, encode)))

    @torch.inference_mode()
    def encode_captions(self, captions: Sequence[str]) -> Tensor:
        """Encodes N captions, cut to the model's window, to unit features (N, D), float32 on the model's device."""

        def encode(batch: list[str]) -> Tensor:
            return self.model.encode_text(self.tokenizer(batch).to(self.device))

        wanted = dict.fromkeys(captions)
        missing = [caption for caption in wanted if caption not in self._captions]
        for caption, feature in zip(missing, self._encode(missing, encode), strict=True):
            # A copy, because a slice of a batch keeps the whole batch in memory.
            self._captions[caption] = feature.clone()
        for caption in wanted:
            self._captions.move_to_end(caption)
        features = self._stack(self._captions[caption] for caption in captions)
        while len(self._captions) > CACHED_CAPTIONS:
            self._captions.popitem(last=False)
        return features

    def _encode(self, items: Iterable[Item], encode: Callable[[list[Item]], Tensor]) -> Iterator[Tensor]:
        remaining = iter(items)
        while batch := list(islice(remaining, self.batch_size)):
            filled = batch + batch[-1:] * (self.batch_size - len(batch))
            yield from F.normalize(encode(filled).float(), dim=-1)[: len(batch)]

    def _stack(self, features: Iterable[Tensor]) -> Tensor:
        stacked = list(features)
        return torch.stack(stacked) if stacked else torch.zeros(0, 1, device=self.device)
