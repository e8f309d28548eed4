"""DINOv2 and image classifiers with small random weights, saved and loaded by transformers itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    BitImageProcessor,
    Dinov2Config,
    Dinov2Model,
    ViTConfig,
    ViTForImageClassification,
)

from filters.errors import FilterError
from filters.measures.classifier import Classified
from filters.measures.dino import Dino

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 40, 40, 3), dtype=np.uint8)
SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
}


@pytest.fixture(scope="module")
def dino_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dino")
    torch.manual_seed(0)
    Dinov2Model(Dinov2Config(**SMALL)).save_pretrained(folder)
    BitImageProcessor(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}).save_pretrained(
        folder
    )
    return folder


@pytest.fixture(scope="module")
def classifier_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("classifier")
    torch.manual_seed(1)
    config = ViTConfig(**SMALL, intermediate_size=64, id2label={0: "safe", 1: "unsafe"}, label2id=None)
    ViTForImageClassification(config).save_pretrained(folder)
    BitImageProcessor(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}).save_pretrained(
        folder
    )
    return folder


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


def test_a_score_does_not_depend_on_its_company(dino_folder: Path) -> None:
    dino = Dino(str(dino_folder), device="cpu")
    alone = dino.score(IMAGES[:1], IMAGES[1:2])
    among = dino.score(IMAGES[[3, 0, 2]], IMAGES[[4, 1, 2]])
    assert alone[0] == among[1]
    assert among[2] == pytest.approx(1, abs=1e-6)
    assert dino.score([], []).shape == (0,)


def test_the_worse_of_the_two_images_counts(classifier_folder: Path) -> None:
    unsafe = Classified(str(classifier_folder), "unsafe", device="cpu")
    safe = Classified(str(classifier_folder), "safe", device="cpu")
    one = unsafe.score(IMAGES[:2], IMAGES[:2])
    assert one + safe.score(IMAGES[:2], IMAGES[:2]) == pytest.approx([1, 1], abs=1e-6)
    assert unsafe.score(IMAGES[:1], IMAGES[1:2])[0] == max(one)


def test_what_is_not_there_is_named(classifier_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FilterError, match="no label 'nsfw': it has safe, unsafe"):
        Classified(str(classifier_folder), "nsfw", device="cpu")
    with pytest.raises(FilterError, match="no such folder"):
        Dino(str(tmp_path / "absent"))
    with pytest.raises(FilterError, match="cannot be loaded"):
        Dino(str(tmp_path))


def test_pickled_weights_are_not_loaded(dino_folder: Path, tmp_path: Path) -> None:
    for name in ("config.json", "preprocessor_config.json"):
        (tmp_path / name).write_bytes((dino_folder / name).read_bytes())
    torch.save(Dinov2Model.from_pretrained(dino_folder).state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(FilterError, match="cannot be loaded"):
        Dino(str(tmp_path), device="cpu")
