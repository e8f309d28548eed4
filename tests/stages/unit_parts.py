"""Parts of units' results, made by hand, without torch: processes of the tests' stage import them at every start."""

from __future__ import annotations

import numpy as np

from conf.schema import ImageFormat
from stages.formats.tar import encode_image
from stages.records import Candidate, CaptionPair


def candidate(pair: CaptionPair, number: int, reason: str) -> Candidate:
    return Candidate(
        pair_id=pair.id,
        sample_index=number,
        seed=1000 + number,
        tau=0.5,
        cfg_scale=5.0,
        clip_sim_0=0.25,
        clip_sim_1=0.5,
        clip_sim_dir=0.125,
        clip_sim_image=0.75,
        kept=reason == "",
        reason=reason,
    )


def pixels(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)


def picture(seed: int) -> bytes:
    return encode_image(pixels(seed), ImageFormat.png, 100)
