from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, PixArtSigmaPipeline
from diffusers.models.attention_processor import AttnProcessor2_0
from PIL import Image, ImageFilter

import p2p
import p2p.samplers
from filters.measure import Bounds, outside
from stages.captions import CaptionSource, open_captions
from stages.records import CaptionPair, Unit
from stages.supervised import Supervised
from tests import models, runs
from tests.clips import build_clip
from tests.docs.snippets import snippet
from tests.oracle.naive import NaiveAttention, NaiveEdit


def run(name: str) -> dict[str, Any]:
    # Dataclasses look their annotations up by the module's name.
    names: dict[str, Any] = {"__name__": "p2p.samplers"}
    exec(compile(snippet("extending.md", name), name, "exec"), names)
    return names


def test_captions_of_a_script_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    run("captions")
    pairs = list(open_captions(CaptionSource("auto", "pairs.jsonl")))
    assert len(pairs) == 6
    assert all(
        isinstance(pair, CaptionPair) and json.loads(pair.meta) == {"kind": "colour"} for pair in pairs
    )


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_the_sampler_steps_as_diffusers_does_with_eta_1(prediction: str):
    theirs = DDIMScheduler(clip_sample=False, steps_offset=1, prediction_type=prediction)
    theirs.set_timesteps(7)
    ours = run("sampler")["ddpm"](theirs.config, 7, torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    x, output, noise = torch.randn(3, 1, 4, 8, 8, generator=generator)
    for i, t in enumerate(theirs.timesteps):
        wanted = theirs.step(output, t, x, eta=1.0, variance_noise=noise).prev_sample
        found = ours.step(ours.start(x), output, torch.tensor([i]), noise).x
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_the_sampler_runs_a_sweep_and_the_noise_is_shared(sd1_folder: Path, monkeypatch: pytest.MonkeyPatch):
    made = run("sampler")["ddpm"]
    for table in (p2p.samplers._FOR_DIFFUSION, p2p.samplers.SAMPLERS):
        monkeypatch.setitem(table, "ddpm", made)
    editor = p2p.load(sd1_folder, device="cpu")
    ask = {"seed": 3, "steps": 4, "sampler": "ddpm"}
    sweep = editor.sweep("a red ball on grass", "a blue ball on grass", taus=(0.2, 1.0), **ask)
    alone = editor.sweep("a red ball on grass", "a blue ball on grass", taus=(1.0,), **ask)
    assert abs(sweep.edits[1].astype(int) - alone.edits[0].astype(int)).max() <= 1
    assert (sweep.edits[0] != sweep.edits[1]).any()


@pytest.fixture(scope="module")
def pixart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder on Python's path with the example as ``pixart.py`` and a small PixArt-Σ as ``model``."""
    folder = tmp_path_factory.mktemp("pixart")
    (folder / "pixart.py").write_text(snippet("extending.md", "family"))
    models.save_pixart_sigma(folder / "model")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield folder


@pytest.fixture(scope="module")
def editor(pixart: Path) -> p2p.Editor:
    return p2p.load(pixart / "model", device="cpu", family="pixart")


@pytest.fixture(scope="module")
def pipeline(pixart: Path) -> PixArtSigmaPipeline:
    pipeline = PixArtSigmaPipeline.from_pretrained(pixart / "model")
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


SOURCE, TARGET, STEPS = "a red ball on grass", "A blue hexagon on grass and sand", 5


def generated(
    pipeline: PixArtSigmaPipeline, prompts: list[str], guidance_scale: float, attention: Any, **settings: Any
) -> Any:
    """Of latents that all prompts start from; ``attention`` is told the step."""

    def count(step: int, timestep: Any, latents: torch.Tensor) -> None:
        attention.step = step + 1

    attention.step = 0
    pipeline.transformer.set_attn_processor(attention)
    one = torch.randn((1, 4, 8, 8), generator=torch.Generator().manual_seed(3))
    return pipeline(
        prompts,
        latents=one.repeat(len(prompts), 1, 1, 1),
        num_inference_steps=STEPS,
        guidance_scale=guidance_scale,
        max_sequence_length=models.T5_TOKENS,
        clean_caption=False,
        use_resolution_binning=False,
        callback=count,
        **settings,
    ).images


@pytest.mark.parametrize("guidance_scale", [1.0, 4.5])
def test_the_family_generates_what_its_pipeline_does(
    editor: p2p.Editor, pipeline: PixArtSigmaPipeline, guidance_scale: float
):
    sweep = editor.sweep(
        SOURCE, TARGET, (0.0,), seed=3, steps=STEPS, guidance_scale=guidance_scale, sampler="dpmpp_2m"
    )
    for prompt, latents, image in (
        (SOURCE, sweep.source_latents, sweep.source),
        (TARGET, sweep.edit_latents[0], sweep.edits[0]),
    ):
        plain = AttnProcessor2_0()
        wanted = generated(pipeline, [prompt], guidance_scale, plain, output_type="latent")[0]
        assert torch.allclose(latents, wanted, atol=1e-4)
        exact = generated(pipeline, [prompt], guidance_scale, plain, output_type="np")[0] * 255
        assert np.abs(image - exact).max() < 0.51
    assert (sweep.source_latents - sweep.edit_latents[0]).abs().max() > 1e-3, "the prompt has to matter"


@pytest.mark.parametrize(
    ("cross_gain", "self_gain", "guidance_scale", "unconditional"),
    [(1.0, 0.5, 4.5, False), (1.0, 0.0, 1.0, False), (0.0, 1.0, 4.5, True)],
)
def test_the_family_s_edits_are_those_on_maps(
    editor: p2p.Editor,
    pipeline: PixArtSigmaPipeline,
    cross_gain: float,
    self_gain: float,
    guidance_scale: float,
    unconditional: bool,
):
    sweep = editor.sweep(
        SOURCE,
        TARGET,
        taus=(0.2, 0.6),
        seed=3,
        steps=STEPS,
        guidance_scale=guidance_scale,
        sampler="dpmpp_2m",
        cross_gain=cross_gain,
        self_gain=self_gain,
        reweight={"grass": 2.0},
        inject_unconditional=unconditional,
        pooled="source",
    )
    m = len(pipeline.tokenizer.tokenize("hexagon"))
    assert m > 1
    # "a", "red", "ball" over m tokens, "on", "grass"; "and sand" is the edit's own; the end token and padding.
    mapper = {
        0: [(0, 1.0)],
        1: [(1, 1.0)],
        **{2 + k: [(2, 1 / m)] for k in range(m)},
        2 + m: [(3, 1.0)],
        3 + m: [(4, 1.0)],
        6 + m: [(5, 1.0)],
        **{k: [(k, 1.0)] for k in range(7 + m, models.T5_TOKENS)},
    }
    edit = NaiveEdit(
        mapper,
        cross_steps=int(3 * cross_gain),
        self_steps={0.0: 0, 0.5: 2, 1.0: 3}[self_gain],
        weights={3 + m: 2.0},
        unconditional=unconditional,
    )
    attention = NaiveAttention(edit)
    attention.seen.append([])
    wanted = generated(pipeline, [SOURCE, TARGET], guidance_scale, attention, output_type="latent")
    moved = (sweep.edit_latents[0] - sweep.edit_latents[1]).abs().max()
    assert moved > 1e-3, "τ has to matter"
    for found, exact in zip((sweep.source_latents, sweep.edit_latents[1]), wanted, strict=True):
        assert (found - exact).abs().max() < 1e-3 * moved


def test_the_family_s_words_are_watched_without_the_padding(
    editor: p2p.Editor, pipeline: PixArtSigmaPipeline
):
    """What is seen of the words is what the maps have, and the end token has the rest of it."""
    seen = editor.attention("a red hexagon", seed=3, steps=STEPS, guidance_scale=1.0, sampler="dpmpp_2m")
    attention = NaiveAttention(NaiveEdit({}, 0, 0))
    attention.seen.append([])
    generated(pipeline, ["a red hexagon"] * 2, 1.0, attention, output_type="latent")
    maps = torch.stack(attention.seen[0])[:, 0].mean((0, 1))
    m = len(pipeline.tokenizer.tokenize("hexagon"))
    assert maps[:, 3 + m :].abs().max() < 1e-6
    wanted = torch.stack([maps[:, 0], maps[:, 1], maps[:, 2 : 2 + m].sum(-1)]).reshape(3, 1, 4, 4)
    wanted = torch.nn.functional.interpolate(wanted, (16, 16), mode="bilinear")[:, 0]
    assert np.abs(seen.maps - wanted.numpy()).max() < 1e-5


def test_the_family_is_found_in_a_worker_s_process(pixart: Path):
    config = runs.config(
        pixart / "model",
        build_clip(pixart / "clip"),
        *("model.family=pixart", "sampler=dpmpp_2m", "sampler.steps=2"),
    )
    stage = Supervised(config, "f")
    try:
        result = stage(Unit(0, tuple(runs.PAIRS[:1])))
    finally:
        stage.close()
    assert not result.failures
    assert len(result.candidates) > 0


def test_the_filter_tells_a_blurred_edit_from_a_sharp_one():
    measure = run("filter")["Sharpness"]()
    sharp = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    blurred = np.asarray(Image.fromarray(sharp).filter(ImageFilter.GaussianBlur(1)))
    scores = measure.score([sharp, sharp, blurred], [sharp, blurred, sharp])
    assert scores.dtype == np.float32
    assert scores[0] == pytest.approx(1)
    assert scores[1] < 0.5
    assert scores[2] > 2
    assert outside({"sharpness": scores}, {"sharpness": Bounds(least=0.5)}, 3) == ["", "sharpness", ""]
