"""What a sweep is by its definition, whatever is inside."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from diffusers.models.attention_processor import AttnProcessor2_0

import p2p

SOURCE, TARGET = "a red ball on grass", "a blue hexagon on grass"
SHORT: dict[str, Any] = {"steps": 6, "guidance_scale": 3.0}


def plain(
    pipeline: StableDiffusionPipeline, prompt: str, seed: int, kind: str, **settings: Any
) -> torch.Tensor:
    pipeline.unet.set_attn_processor(AttnProcessor2_0())
    return pipeline(
        prompt,
        num_inference_steps=settings["steps"],
        guidance_scale=settings["guidance_scale"],
        generator=torch.Generator().manual_seed(seed),
        output_type=kind,
    ).images


@pytest.mark.parametrize("guidance_scale", [0.5, 1.0, 6.0])
def test_source_and_tau_0_are_plain_generations(
    editor: p2p.Editor, pipeline: StableDiffusionPipeline, guidance_scale: float
) -> None:
    settings = {"steps": 6, "guidance_scale": guidance_scale}
    sweep = editor.sweep(SOURCE, TARGET, taus=[0.0], seed=5, **settings)
    for prompt, latents, image in (
        (SOURCE, sweep.source_latents, sweep.source),
        (TARGET, sweep.edit_latents[0], sweep.edits[0]),
    ):
        assert torch.allclose(latents, plain(pipeline, prompt, 5, "latent", **settings)[0], atol=1e-4)
        exact = plain(pipeline, prompt, 5, "np", **settings)[0] * 255
        assert np.abs(image - exact).max() < 0.51, "pixels are rounded, not truncated"


@pytest.mark.parametrize("sampler", ["ddim", "euler", "euler_ancestral", "dpmpp_2m", "unipc", "lcm"])
def test_tau_1_with_the_same_prompt_is_the_source(editor: p2p.Editor, sampler: str) -> None:
    sweep = editor.sweep(SOURCE, SOURCE, taus=[1.0, 0.0], self_gain=1.0, sampler=sampler, **SHORT)
    for edit in sweep.edit_latents:
        assert torch.allclose(edit, sweep.source_latents, atol=1e-4)


def test_the_source_does_not_depend_on_what_is_edited_beside_it(editor: p2p.Editor) -> None:
    sweeps = [
        editor.sweep(SOURCE, target, taus=taus, **SHORT)
        for target, taus in ((TARGET, [0.5]), ("a night in a storm", [0.0, 0.3, 1.0]), (SOURCE, [1.0]))
    ]
    for sweep in sweeps[1:]:
        assert torch.allclose(sweep.source_latents, sweeps[0].source_latents, atol=1e-4)


def test_injection_holds_the_edit_to_the_source(editor: p2p.Editor) -> None:
    """Not an identity: that the images of a sweep differ at all is what the identities live on."""
    sweep = editor.sweep(SOURCE, TARGET, taus=[0.0, 0.5, 1.0], self_gain=1.0, **SHORT)
    moved = [(edit - sweep.edit_latents[-1]).abs().max().item() for edit in sweep.edit_latents]
    assert moved[0] > moved[1] > 0.01
    assert (sweep.edit_latents[-1] - sweep.source_latents).abs().max() > 0.01


def test_shapes_types_and_the_order_of_taus(sd1_editor: p2p.Editor) -> None:
    there = sd1_editor.sweep(SOURCE, TARGET, taus=(0.2, 0.9, 0.2), **SHORT)
    back = sd1_editor.sweep(SOURCE, TARGET, taus=(0.9, 0.2), **SHORT)
    assert sd1_editor.resolution == 16
    assert there.source.shape == (16, 16, 3)
    assert there.edits.shape == (3, 16, 16, 3)
    assert there.source.dtype == there.edits.dtype == np.uint8
    assert there.source_latents.shape == (4, 8, 8)
    assert there.edit_latents.shape == (3, 4, 8, 8)
    assert there.edit_latents.dtype == torch.float32
    assert torch.equal(there.edit_latents[0], there.edit_latents[2])
    assert torch.allclose(there.edit_latents[:2], back.edit_latents.flip(0), atol=1e-5)


def test_starting_noise_may_be_given(sd1_editor: p2p.Editor) -> None:
    noise = torch.randn((1, 4, 8, 8), generator=torch.Generator().manual_seed(9))[0]
    for sampler in ("ddim", "euler", "euler_ancestral", "dpmpp_2m", "unipc", "lcm"):
        given = sd1_editor.sweep(SOURCE, TARGET, seed=9, latents=noise, sampler=sampler, **SHORT)
        drawn = sd1_editor.sweep(SOURCE, TARGET, seed=9, sampler=sampler, **SHORT)
        assert torch.equal(given.edit_latents, drawn.edit_latents)
    with pytest.raises(p2p.P2PError, match=r"latents have shape \(4, 9, 8\); the model needs \(4, 8, 8\)"):
        sd1_editor.sweep(SOURCE, TARGET, latents=torch.zeros(4, 9, 8))


def test_nothing_to_do(sd1_editor: p2p.Editor) -> None:
    assert sd1_editor.sweep_many([]) == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"word_taus": {"green": 0.5}},
            "word_taus: 'green' is not in 'a blue hexagon on grass'; its words are a, blue",
        ),
        ({"reweight": {"red": 2.0}}, "reweight: 'red' is not in"),
        ({"edit": "replace", "target": "a red ball on grass in a storm"}, "matches no word"),
        ({"steps": 2000}, "steps = 2000 is more than"),
        (
            {"sampler": "flow_match_euler"},
            "'flow_match_euler' does not fit a model that predicts epsilon; use ddim or",
        ),
        (
            {"source": "a " * 30},
            "'a a .* has 32 tokens, the model takes 20; shorten it, or cut it with too_long='truncate'",
        ),
    ],
)
def test_requests_that_cannot_be_carried_out(
    sd1_editor: p2p.Editor, wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(p2p.P2PError, match=message):
        sd1_editor.sweep(**{"source": SOURCE, "target": TARGET, **wrong})


def queued(folder: Path, beside: bool) -> tuple[dict[int, p2p.Sweep], list[int], set[int]]:
    """Four sweeps, each followed by two: the sweeps, the rows of each call, the threads that were given them."""
    editor = p2p.load(folder, device="cpu")
    editor.decodes_beside = beside
    sweeps: dict[int, p2p.Sweep] = {}
    rows: list[int] = []
    threads: set[int] = set()
    denoise = editor.family.denoise

    def counted(latents: torch.Tensor, *rest: Any) -> torch.Tensor:
        rows.append(len(latents))
        return denoise(latents, *rest)

    def request(number: int) -> p2p.SweepRequest:
        steps = 2 + number % 2
        return p2p.SweepRequest(SOURCE, TARGET, (0.3, 0.8), seed=number, steps=steps, guidance_scale=3.0)

    def respond(finished: list[tuple[int, p2p.Sweep]]) -> list[p2p.SweepRequest]:
        threads.add(threading.get_ident())
        time.sleep(0.05 * beside)
        following = [request(number) for number in range(len(sweeps) + 4, len(sweeps) + 4 + len(finished))]
        sweeps.update(finished)
        return following if len(sweeps) < 6 else []

    editor.family.denoise = counted  # type: ignore[method-assign]
    editor.sweep_queue([request(number) for number in range(4)], respond, batch_rows=8)
    return sweeps, rows, threads


def test_decoding_beside_the_denoiser_changes_nothing(sd1_folder: Path) -> None:
    """The answers come late from another thread; which rows share a batch does not depend on that."""
    alone, beside = queued(sd1_folder, False), queued(sd1_folder, True)
    assert alone[1] == beside[1]
    assert alone[2] == {threading.get_ident()} != beside[2]
    assert len(alone[0]) > 6
    for number, sweep in alone[0].items():
        assert torch.equal(sweep.edit_latents, beside[0][number].edit_latents)
        assert np.array_equal(sweep.edits, beside[0][number].edits)
