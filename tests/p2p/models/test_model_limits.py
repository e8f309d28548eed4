"""The limits in a folder's configs, held to those of the loaded model."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

import miniworld
import p2p
from p2p.models.model_limits import ModelLimits, model_limits
from tests import models


@pytest.fixture(scope="module", params=["sd1", "lcm", "oblong", "sdxl", "sd3", "flux", "miniworld"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("limits") / request.param
    make = {
        "sd1": lambda: models.save_stable_diffusion(path, 1),
        "lcm": lambda: models.save_stable_diffusion(path, 1, guidance=16),
        "oblong": lambda: models.save_stable_diffusion(path, 1, size=(8, 6)),
        "sdxl": lambda: models.save_stable_diffusion_xl(path),
        "sd3": lambda: models.save_stable_diffusion_3(path),
        "flux": lambda: models.save_flux(path),
        "miniworld": lambda: Path(miniworld.MODEL),
    }
    return make[request.param]()


def test_the_limits_are_those_of_the_loaded_model(folder: Path):
    family = p2p.load(folder, device="cpu").family
    _, height, width = family.latent_shape
    least = min(h * w for h, w in family.map_layers) / (height * width)
    limits = model_limits(folder)
    assert limits == ModelLimits(
        not family.embeds_guidance, pytest.approx(math.sqrt(least), abs=1e-9), limits.image_size
    )
    assert limits.image_size == family.decoder(torch.zeros(1, *family.latent_shape)).shape[1:3]


def test_a_plugin_family_has_no_known_limit(tmp_path: Path):
    assert model_limits(tmp_path, family="own_family") == ModelLimits()


def test_options_without_effect_are_refused():
    limits = ModelLimits(unconditional=False, least_size=0.25)
    limits.check(None, None, 0.25)
    with pytest.raises(p2p.P2PError, match="negative_prompt does not work"):
        limits.check("", None, None)
    with pytest.raises(p2p.P2PError, match="guidance_interval does not work"):
        limits.check(None, (0.1, 5.0), None)
    with pytest.raises(p2p.P2PError, match=r"self_max_size = 0\.2 .* must be 0\.25 or more"):
        limits.check(None, None, 0.2)


def test_an_image_of_another_size_is_refused():
    limits = ModelLimits(unconditional=False, image_size=(16, 24))
    limits.check_image((16, 24), "direct")
    with pytest.raises(
        p2p.P2PError, match="image has 16×24 pixels; the model takes 24×16: crop or resize it"
    ):
        limits.check_image((24, 16), "direct")
    with pytest.raises(p2p.P2PError, match="inversion='null_text' does not work with a model that embeds"):
        limits.check_image((16, 24), "null_text")
    ModelLimits().check_image((3, 4), "null_text")


def test_a_damaged_config_is_named(sd1_folder: Path, tmp_path: Path):
    (tmp_path / "unet").mkdir()
    (tmp_path / "model_index.json").write_text((sd1_folder / "model_index.json").read_text())
    assert model_limits(tmp_path) == ModelLimits()
    (tmp_path / "unet" / "config.json").write_text("{")
    with pytest.raises(p2p.ModelError, match="is damaged"):
        model_limits(tmp_path)
