from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderTiny

import p2p
from tests import models

SETTINGS = {"source": "a red ball", "target": "a blue ball", "steps": 3}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.save_tiny(tmp_path_factory.mktemp("tiny"))


def test_sweeps_are_decoded_by_it_and_survivors_by_the_model(sd1_folder: Path, tiny: Path) -> None:
    plain, small = (p2p.load(sd1_folder, device="cpu", scoring_decoder=one) for one in (None, tiny))
    full, sweep = plain.sweep(**SETTINGS), small.sweep(**SETTINGS)
    assert torch.equal(sweep.edit_latents, full.edit_latents)
    with torch.no_grad():
        decoded = AutoencoderTiny.from_pretrained(tiny).decode(sweep.edit_latents).sample
    exact = (decoded / 2 + 0.5).clamp(0, 1) * 255
    assert np.abs(sweep.edits - exact.permute(0, 2, 3, 1).numpy()).max() <= 0.5 + 1e-3
    assert np.array_equal(small.decode(sweep.edit_latents), full.edits)
    assert not np.array_equal(sweep.edits, full.edits)


def test_it_has_to_fit_the_model(sd1_folder: Path, tmp_path: Path) -> None:
    for wrong in ({"latent_channels": 16}, {"levels": 3}):
        with pytest.raises(p2p.ModelError, match="the model has 4 and 2; use the decoder made for the model"):
            p2p.load(sd1_folder, device="cpu", scoring_decoder=models.save_tiny(tmp_path / "t", **wrong))


def test_it_has_to_be_there(sd1_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(p2p.ModelError, match="the scoring decoder does not load"):
        p2p.load(sd1_folder, device="cpu", scoring_decoder=tmp_path)
