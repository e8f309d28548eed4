"""The four CLIP similarities of an edited image pair, from CLIP features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ClipScores:
    """Similarities of N candidates, each float32 (N,) in [-1, 1], as `similarities` defines them."""

    clip_sim_0: NDArray[np.float32]
    clip_sim_1: NDArray[np.float32]
    clip_sim_dir: NDArray[np.float32]
    clip_sim_image: NDArray[np.float32]


def similarities(image_0: Tensor, image_1: Tensor, text_0: Tensor, text_1: Tensor) -> ClipScores:
    """Computes the scores by which InstructPix2Pix filters (Brooks et al. 2023, sec. 3.1.2).

    I0, I1 are the features of the input and the output image, T0, T1 those of their captions:

        clip_sim_0     = cos(I0, T0)             the input image shows its caption
        clip_sim_1     = cos(I1, T1)             the output image shows its caption
        clip_sim_dir   = cos(I1 − I0, T1 − T0)   the images differ as the captions do
        clip_sim_image = cos(I0, I1)             the images are otherwise alike

    The directional one is StyleGAN-NADA's (Gal et al. 2022, eq. 3). A direction of length zero (equal images,
    equal captions) has no angle: its score is 0.

    Args:
        image_0, image_1, text_0, text_1: unit features (N, D). Lengths matter: the directions are differences.
    """
    # Imported here, because torch takes seconds and a choice among stored scores does not need it.
    from torch.nn import functional as F

    def cosine(a: Tensor, b: Tensor) -> NDArray[np.float32]:
        similarity: NDArray[np.float32] = F.cosine_similarity(a.float(), b.float()).clamp(-1, 1).cpu().numpy()
        return similarity

    return ClipScores(
        clip_sim_0=cosine(image_0, text_0),
        clip_sim_1=cosine(image_1, text_1),
        clip_sim_dir=cosine(image_1 - image_0, text_1 - text_0),
        clip_sim_image=cosine(image_0, image_1),
    )
