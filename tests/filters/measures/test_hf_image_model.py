from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import Dinov2Model

from filters.errors import FilterError
from filters.measures.dino import Dino

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 40, 40, 3), dtype=np.uint8)


def test_a_score_does_not_depend_on_the_other_images(dino_folder: Path) -> None:
    dino = Dino(str(dino_folder), device="cpu")
    alone = dino.score(IMAGES[:1], IMAGES[1:2])
    among = dino.score(IMAGES[[3, 0, 2]], IMAGES[[4, 1, 2]])
    assert alone[0] == among[1]
    assert among[2] == pytest.approx(1, abs=1e-6)
    assert dino.score([], []).shape == (0,)


def test_a_missing_folder_or_model_is_an_error(tmp_path: Path) -> None:
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
