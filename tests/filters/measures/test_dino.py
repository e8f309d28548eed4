from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BitImageProcessor, Dinov2Model

from filters.measures.dino import Dino

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 40, 40, 3), dtype=np.uint8)


def test_dino_sim_is_the_cosine_of_the_class_tokens(dino_folder: Path) -> None:
    scores = Dino(str(dino_folder), device="cpu").score(IMAGES[:3], IMAGES[2:])
    processor, model = (
        BitImageProcessor.from_pretrained(dino_folder),
        Dinov2Model.from_pretrained(dino_folder),
    )
    with torch.inference_mode():
        pixels = processor(list(IMAGES), return_tensors="pt")["pixel_values"]
        tokens = model.eval()(pixel_values=pixels).pooler_output
    expected = torch.nn.functional.cosine_similarity(tokens[:3], tokens[2:])
    assert scores == pytest.approx(expected.numpy(), abs=1e-5)
    assert scores.dtype == np.float32
