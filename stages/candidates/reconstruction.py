"""Scores of reconstructions: the likeness of a caption pair's image and of its image after inversion."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import filters
from conf.schema import OF_IMAGES, Filter

if TYPE_CHECKING:
    from filters.clip.clip_scorer import Clip

Pixels = NDArray[np.uint8]
RECONSTRUCTION_SCORES = OF_IMAGES["filter"]
EQUAL_PSNR = 100.0
"""PSNR of equal images, which is infinite: JSON has no infinity."""
EXACT = dict(zip(RECONSTRUCTION_SCORES, (EQUAL_PSNR, 1.0, 1.0), strict=True))
"""Scores of a generated source, which is its own reconstruction."""


def score_reconstructions(
    originals: Sequence[Pixels], reconstructions: Sequence[Pixels], clip: Clip
) -> list[dict[str, float]]:
    """Scores N pairs of an original and its reconstruction, each uint8 (H, W, 3): PSNR in dB, SSIM, CLIP similarity.

    N is 1 or more.
    """
    # Imported here, because torch takes seconds and the names of the scores do not need it.
    from torch.nn import functional as F

    from filters.measures.ssim import Ssim

    features = clip.encode_images([*originals, *reconstructions])
    count = len(originals)
    likeness = F.cosine_similarity(features[:count], features[count:]).clamp(-1, 1).cpu().tolist()
    ssim = Ssim().score(originals, reconstructions).tolist()
    psnr = [peak_ratio(a, b) for a, b in zip(originals, reconstructions, strict=True)]
    # As stored: a score read back from a file is the same.
    scores = np.array([psnr, ssim, likeness], np.float32).T.tolist()
    return [dict(zip(RECONSTRUCTION_SCORES, values, strict=True)) for values in scores]


def peak_ratio(first: Pixels, second: Pixels) -> float:
    """Returns the peak signal-to-noise ratio of two images in dB, at most ``EQUAL_PSNR``."""
    error = float(np.mean((first.astype(np.float64) - second.astype(np.float64)) ** 2))
    return min(EQUAL_PSNR, 10 * math.log10(255**2 / error)) if error else EQUAL_PSNR


def reconstruction_bounds(chosen: Filter) -> dict[str, filters.Bounds]:
    """Returns the bounds of the scores."""
    limits = {name: getattr(chosen, name) for name in RECONSTRUCTION_SCORES}
    return {
        name: filters.Bounds() if least is None else filters.Bounds(least=least)
        for name, least in limits.items()
    }
