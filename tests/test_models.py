"""The small models are what the libraries themselves would load."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline

from tests import models


@pytest.mark.parametrize(("version", "prediction"), [(1, "epsilon"), (2, "v_prediction")])
def test_plain_pipeline_loads_and_draws(
    version: int, prediction: str, sd1_folder: Path, sd2_folder: Path
) -> None:
    pipeline = StableDiffusionPipeline.from_pretrained({1: sd1_folder, 2: sd2_folder}[version])
    pipeline.set_progress_bar_config(disable=True)
    assert pipeline.scheduler.config.prediction_type == prediction
    red, blue = (
        pipeline(
            f"a {word} ball", num_inference_steps=3, output_type="np", generator=torch.manual_seed(0)
        ).images[0]
        for word in ("red", "blue")
    )
    assert red.shape == (16, 16, 3)
    assert red.std() > 0.05, "an image of one colour shows no edit"
    assert np.abs(red - blue).mean() > 1e-3, "the caption has to matter"


def test_tokenizer_is_shaped_like_clip() -> None:
    tokenizer = models.clip_tokenizer()
    assert tokenizer.eos_token_id == len(tokenizer) - 1
    one = tokenizer("a red ball").input_ids
    assert one[0] == tokenizer.bos_token_id
    assert one[-1] == tokenizer.eos_token_id
    assert len(one) == 5
    assert len(tokenizer("a red umbrella").input_ids) > 6
    assert tokenizer("zq ß £ 日本").input_ids.count(tokenizer.eos_token_id) == 1
