"""Tokenizers of all families, loaded from folders without weights."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import p2p
from tests import models

MODELS: dict[str, tuple[Callable[[Path], Path], int, int]] = {  # the tokens of "a red ball", the limit
    "SD1": (lambda folder: models.save_stable_diffusion(folder, version=1), 5, models.TOKENS),
    "SDXL": (models.save_stable_diffusion_xl, 5, models.TOKENS),
    "SD3": (models.save_stable_diffusion_3, 5, models.TOKENS),
    "FLUX": (models.save_flux, 4, models.T5_TOKENS),
}


@pytest.mark.parametrize(("save", "count", "limit"), MODELS.values(), ids=MODELS)
def test_no_weights_are_needed(tmp_path: Path, save: Callable[[Path], Path], count: int, limit: int) -> None:
    folder = save(tmp_path)
    for weights in folder.rglob("*.safetensors"):
        weights.unlink()
    window = p2p.load_tokenizer(folder)
    assert (window.count("a red ball"), window.limit) == (count, limit)
    assert window.tokenize("a " * 40, cut=True).window == limit


def test_prompts_are_counted_with_start_and_end(sd1_folder: Path) -> None:
    prompts = p2p.load_tokenizer(sd1_folder)
    assert prompts.count("a red ball") == 5
    assert prompts.count("a " * 30) == 32


def test_a_tokenizer_that_does_not_load(sd1_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(sd1_folder, tmp_path / "model"))
    shutil.rmtree(folder / "tokenizer")
    with pytest.raises(p2p.ModelError, match="the tokenizer does not load: ") as caught:
        p2p.load_tokenizer(folder)
    assert "\n" not in str(caught.value)
