"""Images in shared batches: each is inverted once, and results are those of separate sweeps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import p2p
from p2p.inversion.image_inversion import ImageInversions
from p2p.sweep.inversion_barrier import invert
from p2p.sweep.sweep_plan import make_plan
from tests import models
from tests.oracle.inversion import PAIR, drawn_image

SHORT: dict[str, Any] = {"steps": 4, "guidance_scale": 3.0}


def count_rows(editor: p2p.Editor, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows of each call of the denoiser from now on."""
    rows: list[int] = []
    denoise = editor.family.denoise

    def counted(latents: torch.Tensor, *rest: Any) -> torch.Tensor:
        rows.append(len(latents))
        return denoise(latents, *rest)

    monkeypatch.setattr(editor.family, "denoise", counted)
    return rows


def sharing_requests() -> list[p2p.SweepRequest]:
    """Requests that share an image's inversion."""
    image = drawn_image()
    return [
        p2p.SweepRequest(PAIR.source, PAIR.target, (0.2, 0.6), image=image, **SHORT),
        p2p.SweepRequest(PAIR.source, "a blue ball on sand", (0.5,), image=image.copy(), **SHORT),
        p2p.SweepRequest(PAIR.source, PAIR.target, (0.5,), seed=3, image=image, steps=4, guidance_scale=1.0),
        p2p.SweepRequest(PAIR.source, PAIR.target, (0.5,), image=image, inversion="ddim", **SHORT),
        p2p.SweepRequest(PAIR.source, PAIR.target, (0.5,), image=image, inversion="negative_prompt", **SHORT),
    ]


def other_requests() -> list[p2p.SweepRequest]:
    """Requests that share nothing with them or with each other."""
    return [
        p2p.SweepRequest(PAIR.source, PAIR.target, (0.3, 0.8), **SHORT),
        p2p.SweepRequest(PAIR.source, PAIR.target, (0.5,), image=drawn_image(1), **SHORT),
        p2p.SweepRequest(PAIR.source, PAIR.target, (0.5,), image=drawn_image(), steps=3),
        p2p.SweepRequest(PAIR.source, PAIR.target, (0.5,), image=drawn_image(), sampler="dpmpp_2m", **SHORT),
        p2p.SweepRequest(PAIR.target, PAIR.source, (0.5,), image=drawn_image(), **SHORT),
    ]


def test_an_image_is_inverted_once_for_all_that_can_share_it(
    sd1_editor: p2p.Editor, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = [sd1_editor.sweep_many([request])[0].rows for request in sharing_requests()]
    rows = count_rows(sd1_editor, monkeypatch)
    together = sd1_editor.sweep_many(sharing_requests())
    assert [sweep.rows for sweep in together] == [alone[0], *(count - 4 for count in alone[1:])]
    assert sum(rows) == sum(sweep.rows for sweep in together)


def test_what_differs_is_inverted_for_itself(sd1_editor: p2p.Editor, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = [sharing_requests()[0], *other_requests()]
    alone = [sd1_editor.sweep_many([request])[0].rows for request in requests]
    rows = count_rows(sd1_editor, monkeypatch)
    together = sd1_editor.sweep_many(requests)
    assert [sweep.rows for sweep in together] == alone
    assert sum(rows) == sum(alone)


@pytest.mark.parametrize("batch_rows", [4, pytest.param(32, marks=pytest.mark.long)])
def test_results_do_not_depend_on_the_company(sd1_editor: p2p.Editor, batch_rows: int) -> None:
    requests = [*sharing_requests(), *other_requests()]
    for request, among in zip(requests, sd1_editor.sweep_many(requests, batch_rows), strict=True):
        alone = sd1_editor.sweep_many([request])[0]
        scale = alone.edit_latents.abs().max()
        assert (alone.source_latents - among.source_latents).abs().max() / scale < 1e-4
        assert (alone.edit_latents - among.edit_latents).abs().max() / scale < 1e-4


@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m", "unipc"])
def test_samplers_invert_to_the_same_trajectory(sd1_folder: Path, sampler: str) -> None:
    """Each in its own coordinates; the schedules agree if timesteps trail and the last step ends without noise."""
    editor = p2p.load(sd1_folder, device="cpu")
    config = {**editor.family.scheduler_config, "set_alpha_to_one": True, "final_sigmas_type": "zero"}
    editor.family.scheduler_config = {**config, "timestep_spacing": "trailing"}
    request = sharing_requests()[0]
    make = editor._samplers()
    tracks = []
    for name in ("ddim", sampler):
        plan = make_plan(0, replace(request, sampler=name), editor.family, make)
        with torch.inference_mode():
            stored = invert(editor.family, ImageInversions(editor.family).attach(plan)).stored
        assert stored is not None
        one, nothing = torch.ones(1, 1, 1), torch.zeros(1, 1, 1)
        signal = [float(plan.sampler.noised(one, nothing, i).x) for i in range(4)]
        tracks.append(stored[:-1] / torch.tensor(signal)[:, None, None, None])
    assert (tracks[0] - tracks[1]).abs().max() < 1e-3 * tracks[0].abs().max()


def test_batches_of_many_images_are_full(sd1_editor: p2p.Editor, monkeypatch: pytest.MonkeyPatch) -> None:
    """The denoiser's output has no influence on its batches; here it is zero."""
    monkeypatch.setattr(sd1_editor.family, "denoise", lambda latents, *_: torch.zeros_like(latents))
    rows = count_rows(sd1_editor, monkeypatch)
    requests = [
        p2p.SweepRequest(PAIR.source, PAIR.target, (0.3, 0.6, 0.9), image=drawn_image(k), steps=8)
        for k in range(24)
    ]
    sd1_editor.sweep_many(requests, batch_rows=16)
    assert max(rows) == 16
    assert sum(rows) > 0.95 * 16 * len(rows)


def test_a_queue_inverts_an_image_once(sd1_editor: p2p.Editor) -> None:
    """The request that follows from the first one's result finds the trajectory."""
    request = sharing_requests()[0]
    sweeps: dict[int, p2p.Sweep] = {}

    def respond(finished: list[tuple[int, p2p.Sweep]]) -> list[p2p.SweepRequest]:
        first = not sweeps
        sweeps.update(finished)
        return [request] if first else []

    sd1_editor.sweep_queue([request], respond)
    assert sweeps[0].rows - sweeps[1].rows == 4
    assert torch.allclose(sweeps[0].edit_latents, sweeps[1].edit_latents, atol=1e-5)


def test_sdedit_starts_from_the_image(sd1_editor: p2p.Editor) -> None:
    """It needs no inversion and no source; at τ = 1 it needs nothing at all."""
    image, sweeps = drawn_image(), []
    requests = [
        p2p.SweepRequest(PAIR.source, PAIR.target, taus, image=image, method="sdedit", **SHORT)
        for taus in ((1.0,), (0.5, 1.0))
    ]
    sd1_editor.sweep_queue(requests, lambda finished: sweeps.extend(finished) or [])
    unchanged, edited = (sweep for _, sweep in sorted(sweeps, key=lambda pair: pair[0]))
    assert (unchanged.rows, edited.rows) == (0, 2 * 2)
    latents = sd1_editor.family.decoder.encode(image)
    for sweep in (unchanged, edited):
        assert torch.equal(sweep.source_latents, latents)
        assert torch.equal(sweep.edit_latents[-1], latents)
        assert np.array_equal(sweep.edits[-1], sweep.source)
    assert (edited.edit_latents[0] - latents).abs().max() > 0.1


def test_the_same_seed_starts_from_the_inverted_noise(sd1_editor: p2p.Editor) -> None:
    plain, uninjected = (
        sd1_editor.sweep(PAIR.source, PAIR.target, (0.0,), image=drawn_image(), method=method, **SHORT)
        for method in ("same_seed", "p2p")
    )
    assert torch.equal(plain.edit_latents, uninjected.edit_latents)
    assert plain.rows == 4 + 2 * 4, "no source"


def test_an_early_stop_sees_the_source(sd1_editor: p2p.Editor) -> None:
    """The source is predicted even if no edit needs it, and stays the image if all edits are dropped."""
    seen: list[p2p.PredictedImages] = []

    def drop(predicted: p2p.PredictedImages) -> list[bool]:
        seen.append(predicted)
        return [False] * len(predicted.edits)

    request = p2p.SweepRequest(PAIR.source, PAIR.target, (0.0, 0.3), image=drawn_image(), **SHORT)
    sweep = sd1_editor.sweep_many([request], early_stop=p2p.EarlyStop(0.5, drop))[0]
    assert sweep.stopped == (0, 1)
    assert len(seen) == 1
    assert sweep.rows == 4 + 2 + 2 * 2 * 2
    assert torch.equal(sweep.source_latents, sd1_editor.family.decoder.encode(drawn_image()))


def test_attention_maps_of_an_edit_of_an_image(sd1_editor: p2p.Editor) -> None:
    request = p2p.SweepRequest(PAIR.source, PAIR.target, (0.5,), image=drawn_image(), **SHORT)
    source, edit = sd1_editor.edit_attention(request)
    sweep = sd1_editor.sweep_many([request])[0]
    assert np.abs(source.image.astype(int) - sweep.source).max() <= 1
    assert np.abs(edit.image.astype(int) - sweep.edits[0]).max() <= 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image": drawn_image(size=(16, 24))}, "image has 24×16 pixels; the model takes 16×16"),
        ({"image": drawn_image().astype(float)}, r"must be an array .* of uint8, not float64 \(16, 16, 3\)"),
        ({"image": "photo.jpg"}, "must be an array .* of uint8, not str"),
        ({"image": drawn_image()[..., 0]}, r"not uint8 \(16, 16\)"),
        ({"image": drawn_image(), "sampler": "euler_ancestral"}, "draws noise"),
        ({"image": drawn_image(), "latents": torch.zeros(4, 8, 8)}, "two starts of one sweep"),
    ],
)
def test_images_that_cannot_be_edited(sd1_editor: p2p.Editor, options: dict[str, Any], message: str) -> None:
    with pytest.raises(p2p.P2PError, match=message):
        sd1_editor.sweep(PAIR.source, PAIR.target, **options)


def test_models_of_other_shapes(tmp_path: Path) -> None:
    """SDXL, with its pooled embeddings, and latents that are not square."""
    models.save_stable_diffusion_xl(tmp_path / "xl")
    models.save_stable_diffusion(tmp_path / "oblong", version=1, size=(8, 12))
    for name, size in (("xl", (16, 16)), ("oblong", (16, 24))):
        editor, image = p2p.load(tmp_path / name, device="cpu"), drawn_image(size=size)
        for inversion in ("direct", "negative_prompt"):
            sweep = editor.sweep(PAIR.source, PAIR.target, image=image, inversion=inversion, **SHORT)
            assert sweep.edits.shape == (3, *size, 3)
            assert sweep.edit_latents.isfinite().all()


def test_a_padded_batch_has_the_same_bits_in_any_company(sd1_folder: Path) -> None:
    editor = p2p.load(sd1_folder, device="cpu")
    editor.pad = True
    requests = [*sharing_requests()[:3], other_requests()[0]]
    together = editor.sweep_many(requests, batch_rows=12)
    for request, among in zip(requests, together, strict=True):
        alone = editor.sweep_many([request], batch_rows=12)[0]
        assert torch.equal(among.edit_latents, alone.edit_latents)
