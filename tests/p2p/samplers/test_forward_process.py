"""Forward processes: the prediction of x₀ inverts the noising, for both kinds of prediction."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from p2p.errors import ModelError
from p2p.samplers.ddim import DDIM
from p2p.samplers.euler import Euler
from p2p.samplers.forward_process import clean_latents, clip_range, predicts_v

STEPS = 5
ALPHAS = torch.linspace(0.02, 0.95, STEPS)  # ᾱ
SIGMAS = torch.tensor([14.0, 5.0, 1.0, 0.2, 0.03, 0.0])
I = torch.arange(STEPS)  # noqa: E741  the paper's i


@pytest.fixture
def pair() -> tuple[Tensor, Tensor]:
    """Clean latents and noise (T, C, h, w), one row for each step."""
    clean, noise = torch.randn((2, STEPS, 4, 3, 3), generator=torch.Generator().manual_seed(0))
    return clean, noise


def column(values: Tensor) -> Tensor:
    return values[:, None, None, None]


@pytest.mark.parametrize("v", [False, True])
def test_clean_latents_invert_the_noising(pair: tuple[Tensor, Tensor], v: bool) -> None:
    clean, noise = pair
    alpha, sigma = column(ALPHAS.sqrt()), column((1 - ALPHAS).sqrt())
    output = alpha * noise - sigma * clean if v else noise
    x = alpha * clean + sigma * noise
    assert torch.allclose(clean_latents(x, output, alpha, sigma, v), clean, atol=1e-5)


@pytest.mark.parametrize("v", [False, True])
@pytest.mark.parametrize("clip", [float("inf"), 0.5])
def test_variance_is_preserved(pair: tuple[Tensor, Tensor], v: bool, clip: float) -> None:
    clean, noise = pair
    process = DDIM(torch.zeros(STEPS), ALPHAS, ALPHAS, v, clip)
    x = torch.stack([process.noised(clean[k], noise[k], k).x for k in range(STEPS)])
    alpha, sigma = column(ALPHAS.sqrt()), column((1 - ALPHAS).sqrt())
    assert torch.allclose(x, alpha * clean + sigma * noise, atol=1e-6)
    output = alpha * noise - sigma * clean if v else noise
    assert torch.allclose(process.denoised(x, output, I), clean.clamp(-clip, clip), atol=1e-5)
    assert torch.equal(process.model_input(x, I), x)
    assert torch.allclose(process.noise_level, ((1 - ALPHAS) / ALPHAS).sqrt())
    assert process.noised(torch.zeros(1), torch.ones(1), 2).x ** 2 + process.noised(
        torch.ones(1), torch.zeros(1), 2
    ).x ** 2 == pytest.approx(1)


@pytest.mark.parametrize("v", [False, True])
def test_variance_explodes(pair: tuple[Tensor, Tensor], v: bool) -> None:
    clean, noise = pair
    process = Euler(torch.zeros(STEPS), SIGMAS, v, 14.0)
    x = torch.stack([process.noised(clean[k], noise[k], k).x for k in range(STEPS)])
    sigma = column(SIGMAS[:-1])
    assert torch.allclose(x, clean + sigma * noise, atol=1e-6)
    alpha = 1 / (1 + sigma**2).sqrt()
    output = alpha * (noise - sigma * clean) if v else noise
    assert torch.allclose(process.denoised(x, output, I), clean, atol=1e-4)
    # The denoiser gets latents whose variance is preserved.
    assert torch.allclose(process.model_input(x, I), alpha * x)
    assert torch.equal(process.noise_level, SIGMAS[:-1])
    assert torch.equal(process.start(noise[0]).x, 14.0 * noise[0])


def test_predictions_and_clipping_are_read_from_the_config() -> None:
    assert predicts_v({"prediction_type": "v_prediction"})
    assert not predicts_v({"prediction_type": "epsilon", "thresholding": False})
    assert clip_range({"clip_sample": True, "clip_sample_range": 1.5}) == 1.5
    assert clip_range({"clip_sample": False, "clip_sample_range": 1.5}) == float("inf")
    with pytest.raises(ModelError, match="prediction type 'sample' is not supported"):
        predicts_v({"prediction_type": "sample"})
    with pytest.raises(
        ModelError, match="dynamic thresholding is not for latents; set thresholding to false"
    ):
        predicts_v({"prediction_type": "epsilon", "thresholding": True})
