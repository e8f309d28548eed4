"""Structural similarity of the two images."""

from __future__ import annotations

import torch
from torchmetrics.functional.image import structural_similarity_index_measure

from filters.errors import FilterError
from filters.measures.measure import Score, each, paired
from filters.measures.pixels import Images, Pixels

WINDOW = 11


class Ssim:
    """SSIM (Wang et al. 2004) over RGB in [0, 1], with their Gaussian window of 11 pixels, σ 1.5; by torchmetrics.
    Beyond its borders an image is mirrored.

    1 is equal. Each pair is measured by itself, so it does not depend on its company.
    """

    def score(self, inputs: Images, outputs: Images) -> Score:
        """Raises FilterError as `paired` does, and for images smaller than the window."""

        def similarity(before: Pixels, after: Pixels) -> float:
            if min(before.shape[:2]) < WINDOW:
                raise FilterError(f"an image of {before.shape}: SSIM needs {WINDOW} pixels a side")
            first, second = (
                torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255
                for image in (before, after)
            )
            measured = structural_similarity_index_measure(first, second, data_range=1.0)
            assert isinstance(measured, torch.Tensor)
            return float(measured)

        return each(paired(inputs, outputs), similarity)
