"""Optimised embeddings against the naive algorithm, and what they are for: the way back to the image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline

import p2p
from p2p.inversion.null_text_inversion import learning_rate, small_loss, with_checkpointing
from tests import models
from tests.oracle.inversion import PAIR, compare, ddim_trajectory, drawn_image, null_texts

SD2_AT_LENGTH = pytest.mark.parametrize(
    "folder", ["sd1", pytest.param("sd2", marks=pytest.mark.long)], indirect=True, scope="session"
)


@SD2_AT_LENGTH
def test_edits_are_those_of_the_naive_algorithm(
    editor: p2p.Editor, pipeline: StableDiffusionPipeline
) -> None:
    trajectory = ddim_trajectory(pipeline, drawn_image(), PAIR.source, steps=2)
    embeddings = null_texts(pipeline, trajectory, PAIR.source, guidance_scale=3.0)
    compare(editor, pipeline, "null_text", steps=2, negatives=embeddings)


def test_the_source_is_nearer_to_the_image(sd1_editor: p2p.Editor) -> None:
    image = drawn_image()
    latents = sd1_editor.family.decoder.encode(image)
    error = {
        inversion: (
            sd1_editor.sweep(
                PAIR.source, PAIR.target, (0.0,), steps=4, image=image, inversion=inversion
            ).source_latents
            - latents
        )
        .square()
        .mean()
        for inversion in ("ddim", "null_text")
    }
    assert error["null_text"] < 0.5 * error["ddim"]


def test_embeddings_are_found_once_and_their_rows_counted(
    sd1_editor: p2p.Editor, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[int] = []
    denoise = sd1_editor.family.denoise

    def counted(latents: torch.Tensor, *rest: Any) -> torch.Tensor:
        rows.append(len(latents))
        return denoise(latents, *rest)

    monkeypatch.setattr(sd1_editor.family, "denoise", counted)
    requests = [
        p2p.SweepRequest(
            PAIR.source, PAIR.target, (tau,), steps=2, image=drawn_image(), inversion="null_text"
        )
        for tau in (0.0, 1.0)
    ]
    first, second = sd1_editor.sweep_many(requests)
    assert sum(rows) == first.rows + second.rows
    assert second.rows == 2 * 2 * 2
    assert second.rows + 2 + 2 * 3 <= first.rows <= second.rows + 2 + 2 * 12


def test_nothing_is_optimised_without_guidance(sd1_editor: p2p.Editor) -> None:
    plain, null = (
        sd1_editor.sweep(
            PAIR.source,
            PAIR.target,
            (0.5,),
            steps=3,
            image=drawn_image(),
            inversion=inversion,
            guidance_scale=1.0,
        )
        for inversion in ("ddim", "null_text")
    )
    assert torch.allclose(plain.edit_latents, null.edit_latents, atol=1e-5)


def test_settings_are_those_of_the_authors() -> None:
    assert [learning_rate(step) for step in (0, 49, 100, 500)] == pytest.approx([0.01, 0.0051, 0, 0])
    assert [small_loss(step) for step in (0, 10)] == pytest.approx([1e-5, 2.1e-4])


def test_short_memory_turns_checkpointing_on_for_a_while(tmp_path: Path) -> None:
    """The same gradients, with the activations of blocks computed again."""
    editor = p2p.load(models.save_stable_diffusion(tmp_path, 1), device="cpu")
    network: Any = editor.family.network
    calls, states = [0], []

    def run() -> tuple[torch.Tensor, int]:
        states.append(network.is_gradient_checkpointing)
        if len(states) == 1:
            raise torch.OutOfMemoryError("no room")
        text = editor.family.encode("a ball")[0][None].float().clone().requires_grad_()
        hook = (
            network.up_blocks[1]
            .resnets[0]
            .register_forward_pre_hook(lambda *_: calls.__setitem__(0, calls[0] + 1))
        )
        output = editor.family.denoise(torch.ones(1, 4, 8, 8), torch.tensor([5.0]), (text,), None)
        output.square().mean().backward()
        hook.remove()
        assert text.grad is not None
        return text.grad, 0

    gradient, _ = with_checkpointing(network, run)
    assert calls[0] == 2, "forward, and again for the gradient"
    states.append(network.is_gradient_checkpointing)
    again, _ = with_checkpointing(network, run)
    assert torch.allclose(gradient, again, rtol=1e-4)
    assert states == [False, True, False, False]


def test_an_sdxl_keeps_its_pooled_embedding(tmp_path: Path) -> None:
    editor = p2p.load(models.save_stable_diffusion_xl(tmp_path), device="cpu")
    sweep = editor.sweep(
        PAIR.source, PAIR.target, (0.5,), steps=2, image=drawn_image(), inversion="null_text"
    )
    assert sweep.edit_latents.isfinite().all()
