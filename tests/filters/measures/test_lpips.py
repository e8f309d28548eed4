"""LPIPS from a weights file against torchmetrics' own computation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file, save_model
from torchmetrics.functional.image import lpips

import filters
from filters.measures.lpips import Lpips
from pipeline.config.resolve import checked, compose
from stages.candidates.scoring import make_measure_specs

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)


def network(name: str) -> torch.nn.Module:
    """With random weights; the last layers' are positive, as trained ones are."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = lpips._NoTrainLpips(pretrained=False, pnet_rand=True, net=name)
    for parameter in made.lins.parameters():
        parameter.data.abs_()
    return made


@pytest.fixture(scope="module", params=["squeeze", "alex"])
def weights(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp(request.param) / "lpips.safetensors"
    save_model(network(request.param), str(path))
    return path


def test_scores_equal_those_of_torchmetrics(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = weights.parent.name.rstrip("0123456789")
    made = network(name)
    monkeypatch.setattr(lpips, "_NoTrainLpips", lambda net: made)
    tensors = torch.from_numpy(IMAGES).permute(0, 3, 1, 2).float() / 255
    expected = lpips.learned_perceptual_image_patch_similarity(
        tensors[:3], tensors[1:], name, reduction="none", normalize=True
    )
    score = filters.load_measure(filters.MeasureSpec("lpips", model=str(weights)), "cpu").score(
        IMAGES[:3], IMAGES[1:]
    )
    assert score.dtype == np.float32
    assert score == pytest.approx(expected.numpy(), rel=1e-5)
    assert (score > 0.01).all()


def test_distance_is_zero_to_itself_and_symmetric(weights: Path) -> None:
    measure = Lpips(str(weights), "cpu")
    assert measure.score(IMAGES, IMAGES) == pytest.approx(np.zeros(4))
    assert measure.score(IMAGES[:2], IMAGES[2:]) == pytest.approx(measure.score(IMAGES[2:], IMAGES[:2]))


def test_weights_that_do_not_load_are_an_error_with_the_fix(tmp_path: Path) -> None:
    with pytest.raises(filters.FilterError, match=r"no such file; .* python -c .*save_model"):
        Lpips(str(tmp_path / "absent.safetensors"))
    (tmp_path / "alex.pth").write_bytes(b"pickle")
    with pytest.raises(filters.FilterError, match="may be a pickle, which is never loaded"):
        Lpips(str(tmp_path / "alex.pth"))
    (tmp_path / "cut.safetensors").write_bytes(b"cut")
    with pytest.raises(filters.FilterError, match=r"cut\.safetensors cannot be loaded as LPIPS"):
        Lpips(str(tmp_path / "cut.safetensors"))
    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(filters.FilterError, match="is not LPIPS as torchmetrics has it"):
        Lpips(str(tmp_path / "other.safetensors"))


def test_an_image_that_is_too_small_is_an_error(weights: Path) -> None:
    with pytest.raises(filters.FilterError, match=r"an image of \(4, 4, 3\)"):
        Lpips(str(weights), "cpu").score(IMAGES[:1, :4, :4], IMAGES[1:2, :4, :4])


def test_the_fingerprint_of_a_run_depends_on_the_weights(weights: Path, tmp_path: Path) -> None:
    listed = f"filter.measures=[{{kind:lpips,model:'{weights}',most:0.4}}]"
    (spec,) = make_measure_specs(checked(compose([listed])).filter)
    assert (spec.score, spec.bounds.most) == ("lpips", 0.4)
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(weights.read_bytes())
    digest = filters.measure_fingerprint(spec)
    assert digest == filters.measure_fingerprint(filters.MeasureSpec("lpips", model=str(copy)))
    save_model(network("squeeze").apply(_doubled), str(copy))
    assert digest != filters.measure_fingerprint(filters.MeasureSpec("lpips", model=str(copy)))


def _doubled(module: torch.nn.Module) -> None:
    for parameter in module.parameters(recurse=False):
        parameter.data *= 2
