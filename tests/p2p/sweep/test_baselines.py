"""SDEdit and the same seed alone, against diffusers and against Prompt-to-Prompt at τ = 0."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    StableDiffusionImg2ImgPipeline,
)
from diffusers.pipelines.stable_diffusion import pipeline_stable_diffusion_img2img as img2img

import p2p
from p2p.sweep.baselines import restarts
from p2p.sweep.noise import restart_noise

SOURCE, TARGET = "a red ball on grass", "a blue hexagon on grass"
STEPS = 10
SCHEDULERS: dict[str, Any] = {
    "ddim": DDIMScheduler,
    "euler": EulerDiscreteScheduler,
    "dpmpp_2m": DPMSolverMultistepScheduler,
}


def request(*taus: float, **options: Any) -> p2p.SweepRequest:
    given = {"steps": STEPS, "guidance_scale": 3.0, "seed": 3, "method": "sdedit", **options}
    return p2p.SweepRequest(SOURCE, TARGET, taus, **given)


@pytest.fixture(scope="module")
def image_to_image(folder: Path) -> StableDiffusionImg2ImgPipeline:
    pipeline = StableDiffusionImg2ImgPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.mark.parametrize("sampler", SCHEDULERS)
def test_sdedit_is_image_to_image_of_diffusers(
    editor: p2p.Editor,
    image_to_image: StableDiffusionImg2ImgPipeline,
    sampler: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taus = (0.0, 0.3, 0.7, 0.9)
    sweep = editor.sweep_many([request(*taus, sampler=sampler)])[0]
    scheduler = SCHEDULERS[sampler].from_config(image_to_image.scheduler.config)
    monkeypatch.setattr(image_to_image, "scheduler", scheduler)
    for tau, latents in zip(taus, sweep.edit_latents, strict=True):
        step = round(tau * STEPS)
        noise = restart_noise(3, step, tuple(editor.family.latent_shape))[None]
        monkeypatch.setattr(img2img, "randn_tensor", lambda *_, noise=noise, **__: noise)
        theirs = image_to_image(
            TARGET,
            image=sweep.source_latents[None],
            strength=round(1 - tau, 2),
            num_inference_steps=STEPS,
            guidance_scale=3.0,
            output_type="latent",
        ).images[0]
        assert (latents - theirs).abs().max() < 1e-4 * theirs.abs().max()


def test_sdedit_pays_for_the_source_and_the_steps_that_are_left(sd1_editor: p2p.Editor) -> None:
    sweep = sd1_editor.sweep_many([request(0.5, 0.1, 0.52, 1.0)])[0]
    assert sweep.rows == 2 * (STEPS + 5 + 9), "0.5 and 0.52 are one strength at ten steps; 1 is the source"
    assert torch.equal(sweep.edit_latents[0], sweep.edit_latents[2])
    assert torch.equal(sweep.edit_latents[3], sweep.source_latents)
    assert (sweep.edits[3] == sweep.source).all()


def test_more_of_the_source_is_left_at_a_larger_tau(sd1_editor: p2p.Editor) -> None:
    sweep = sd1_editor.sweep_many([request(0.1, 0.5, 0.9)])[0]
    far = [(latents - sweep.source_latents).square().mean() for latents in sweep.edit_latents]
    assert far[0] > far[1] > far[2] > 0


@pytest.mark.parametrize("sampler", ["ddim", "euler_ancestral", "dpmpp_2m", "lcm"])
def test_sdedit_among_others_is_as_alone(sd1_editor: p2p.Editor, sampler: str) -> None:
    own = request(0.2, 0.6, sampler=sampler)
    others = [request(0.5, method="p2p"), request(0.4, seed=4), request(0.0, steps=4, method="same_seed")]
    alone = sd1_editor.sweep_many([own])[0]
    among = sd1_editor.sweep_many([*others, own], batch_rows=6)[-1]
    assert alone.rows == among.rows == 2 * (10 + 8 + 4)
    scale = alone.edit_latents.abs().max()
    assert (alone.edit_latents - among.edit_latents).abs().max() < 1e-4 * scale


def test_the_same_seed_is_prompt_to_prompt_at_zero(sd1_editor: p2p.Editor) -> None:
    plain = sd1_editor.sweep_many([request(0.0, 0.5, 1.0, method="same_seed")])[0]
    injected = sd1_editor.sweep_many([request(0.0, method="p2p")])[0]
    assert plain.rows == injected.rows == 2 * 2 * STEPS
    for latents in plain.edit_latents:
        assert torch.allclose(latents, injected.edit_latents[0], atol=1e-5)


def test_restarts_round_as_injection_does() -> None:
    starts = {branch.start: branch.members for branch in restarts((0.29, 0.0, 1.0, 0.31, 0.289), 50)}
    assert starts == {15: (0,), 0: (1,), 50: (2,), 16: (3,), 14: (4,)}
    assert [branch.start for branch in restarts((0.5, 0.0), 3, "instructpix2pix")] == [1, 0]
    assert [branch.start for branch in restarts((0.5, 0.0), 3)] == [2, 0]


@pytest.mark.parametrize(
    "option",
    [
        {"word_taus": {"hexagon": 0.2}},
        {"reweight": {"blue": 2.0}},
        {"blend": ("ball", "hexagon")},
        {"only": ("grass",)},
        {"alignment": (("ball", "hexagon"),)},
    ],
)
def test_options_of_prompt_to_prompt_are_refused(sd1_editor: p2p.Editor, option: dict[str, Any]) -> None:
    with pytest.raises(
        p2p.P2PError, match=f"{next(iter(option))} needs method='p2p'; remove it with method='sdedit'"
    ):
        sd1_editor.sweep_many([request(0.5, **option)])


def test_an_unknown_method_is_named() -> None:
    with pytest.raises(p2p.P2PError, match="method 'ddib' is unknown; there are p2p, sdedit, same_seed"):
        request(0.5, method="ddib")
