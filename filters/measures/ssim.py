"""SSIM: structural similarity of the two images."""

from __future__ import annotations

import torch
from torchmetrics.functional.image import structural_similarity_index_measure

from filters.errors import FilterError
from filters.measures.measure import Score, pair_pixels, score_each
from filters.pixels import Images, Pixels

WINDOW = 11


class Ssim:
    """SSIM (Wang et al. 2004) over RGB in [0, 1] by torchmetrics, with the paper's Gaussian window: 11 pixels, σ 1.5.

    1 is equal. Borders are mirrored. Each pair is scored by itself, so a score does not depend on the other pairs.
    """

    def score(self, inputs: Images, outputs: Images) -> Score:
        """Measures the similarity of each pair: float32 (N,).

        Raises FilterError as `pair_pixels` does, and for images smaller than the window.
        """

        def similarity(before: Pixels, after: Pixels) -> float:
            if min(before.shape[:2]) < WINDOW:
                raise FilterError(f"an image of {before.shape}: SSIM needs {WINDOW} pixels a side")
            first, second = (
                torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255
                for image in (before, after)
            )
            ssim = structural_similarity_index_measure(first, second, data_range=1.0)
            assert isinstance(ssim, torch.Tensor)
            return float(ssim)

        return score_each(pair_pixels(inputs, outputs), similarity)
