from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Iterator
from inspect import get_annotations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, PixArtSigmaPipeline
from diffusers.models.attention_processor import AttnProcessor2_0
from PIL import Image, ImageFilter

import p2p
from conf.setting_keys import known_keys
from filters import find_missed_bounds, load_measure
from p2p.samplers.sampler_registry import make_sampler
from pipeline.planning import run_fingerprint
from stages.candidates import scoring
from stages.captions import CaptionSource, open_captions
from stages.records import CaptionPair, Unit
from stages.worker.supervisor import Supervised
from tests import models, runs
from tests.clips import build_clip
from tests.docs.snippets import ROOT, snippet
from tests.oracle.naive import NaiveAttention, NaiveEdit

TEXT = (ROOT / "docs" / "extending.md").read_text()
EXAMPLES = {"captions": "colours", "sampler": "ddpm", "family": "pixart", "filter": "sharpness"}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder on the path of Python with the examples, under the module names of the page."""
    folder = tmp_path_factory.mktemp("own")
    for name, module in EXAMPLES.items():
        (folder / f"{module}.py").write_text(snippet("extending.md", name))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield folder
    for module in EXAMPLES.values():
        sys.modules.pop(module, None)


def test_the_page_names_the_modules_of_the_examples():
    assert {module for module in EXAMPLES.values() if f"`{module}.py`" in TEXT} == {*EXAMPLES.values()}


def test_the_table_names_parts_and_interfaces():
    parts_table = re.findall(r"^\| [\w ]+ \| `([\w.]+)=[^|]+ \| (.+) \| `([\w.]+)` \|$", TEXT, re.MULTILINE)
    assert [key for key, _, _ in parts_table] == [
        "captions.kind",
        "sampler.name",
        "model.family",
        "filter.measures",
    ]
    assert {key for key, _, _ in parts_table} <= set(known_keys())
    for _, parts, interface in parts_table:
        module, _, name = interface.rpartition(".")
        protocol = getattr(importlib.import_module(module), name)
        members = {member for kind in protocol.__mro__ for member in (*vars(kind), *get_annotations(kind))}
        assert set(re.findall(r"`(\w+)`", parts)) <= members


def test_captions_of_a_module_are_read(path: Path):
    pairs = list(open_captions(CaptionSource("colours", "red-blue-green")))
    assert len(pairs) == 6
    assert all(
        isinstance(pair, CaptionPair) and json.loads(pair.meta) == {"kind": "colour"} for pair in pairs
    )


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_the_sampler_equals_ddim_of_diffusers_with_eta_1(path: Path, prediction: str):
    theirs = DDIMScheduler(clip_sample=False, steps_offset=1, prediction_type=prediction)
    theirs.set_timesteps(7)
    ours = make_sampler("ddpm", theirs.config, 7, torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    x, output, noise = torch.randn(3, 1, 4, 8, 8, generator=generator)
    for i, t in enumerate(theirs.timesteps):
        wanted = theirs.step(output, t, x, eta=1.0, variance_noise=noise)
        found = ours.step(ours.start(x), output, torch.tensor([i]), noise).x
        torch.testing.assert_close(found, wanted.prev_sample, rtol=1e-4, atol=1e-5)
        predicted = ours.denoised(x, output, torch.tensor([i]))
        torch.testing.assert_close(predicted, wanted.pred_original_sample, rtol=1e-4, atol=1e-5)


def test_the_sampler_runs_a_sweep_with_shared_noise(path: Path, sd1_folder: Path):
    editor = p2p.load(sd1_folder, device="cpu")
    ask = {"seed": 3, "steps": 4, "sampler": "ddpm"}
    sweep = editor.sweep("a red ball on grass", "a blue ball on grass", taus=(0.2, 1.0), **ask)
    alone = editor.sweep("a red ball on grass", "a blue ball on grass", taus=(1.0,), **ask)
    assert abs(sweep.edits[1].astype(int) - alone.edits[0].astype(int)).max() <= 1
    assert (sweep.edits[0] != sweep.edits[1]).any()


EXAMPLE_SETTINGS = ("sampler.name=ddpm", "sampler.steps=2", "filter.measures=[{kind:sharpness}]")


def test_a_worker_process_finds_sampler_and_measure(path: Path, sd1_folder: Path, tmp_path: Path):
    stage = Supervised(runs.config(sd1_folder, build_clip(tmp_path / "clip"), *EXAMPLE_SETTINGS), "f")
    try:
        result = stage(Unit(0, tuple(runs.PAIRS[:1])))
    finally:
        stage.close()
    assert not result.failures
    assert result.candidates
    assert all(set(candidate.measures) == {"sharpness"} for candidate in result.candidates)


@pytest.mark.parametrize(
    ("module", "setting"),
    [("ddpm", "sampler.name.source"), ("sharpness", "filter.measures"), ("pixart", "model.family.source")],
)
def test_another_source_changes_the_fingerprint(
    path: Path, pixart: Path, tmp_path: Path, module: str, setting: str
):
    config = runs.config(pixart, build_clip(tmp_path / "clip"), "model.family=pixart", *EXAMPLE_SETTINGS)

    def planned() -> dict[str, Any]:
        return run_fingerprint.settings_of(config, "captions", run_fingerprint.identify(config))

    before, source = planned(), path / f"{module}.py"
    text = source.read_text()
    source.write_text(f"{text}# another comment\n")
    try:
        (change,) = run_fingerprint.changes(before, planned())
    finally:
        source.write_text(text)
    assert change[0] == setting
    assert planned() == before


@pytest.fixture(scope="module")
def pixart(path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small PixArt-Σ."""
    folder = tmp_path_factory.mktemp("pixart") / "model"
    models.save_pixart_sigma(folder)
    return folder


@pytest.fixture(scope="module")
def editor(pixart: Path) -> p2p.Editor:
    return p2p.load(pixart, device="cpu", family="pixart")


@pytest.fixture(scope="module")
def pipeline(pixart: Path) -> PixArtSigmaPipeline:
    pipeline = PixArtSigmaPipeline.from_pretrained(pixart)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


SOURCE, TARGET, STEPS = "a red ball on grass", "A blue hexagon on grass and sand", 5


def generated(
    pipeline: PixArtSigmaPipeline, prompts: list[str], guidance_scale: float, attention: Any, **settings: Any
) -> Any:
    """Images of all prompts from the same latents; ``attention`` counts the steps."""

    def count(step: int, timestep: Any, latents: torch.Tensor) -> None:
        attention.step = step + 1

    attention.step = 0
    pipeline.transformer.set_attn_processor(attention)
    latents = torch.randn((1, 4, 8, 8), generator=torch.Generator().manual_seed(3))
    return pipeline(
        prompts,
        latents=latents.repeat(len(prompts), 1, 1, 1),
        num_inference_steps=STEPS,
        guidance_scale=guidance_scale,
        max_sequence_length=models.T5_TOKENS,
        clean_caption=False,
        use_resolution_binning=False,
        callback=count,
        **settings,
    ).images


@pytest.mark.parametrize("guidance_scale", [1.0, 4.5])
def test_the_family_generates_what_its_pipeline_generates(
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
    assert (sweep.source_latents - sweep.edit_latents[0]).abs().max() > 1e-3, "the prompts must differ"


@pytest.mark.parametrize(
    ("cross_gain", "self_gain", "guidance_scale", "unconditional"),
    [(1.0, 0.5, 4.5, False), (1.0, 0.0, 1.0, False), (0.0, 1.0, 4.5, True)],
)
def test_the_edits_of_the_family_equal_edits_on_maps(
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
    assert moved > 1e-3, "the two τ must differ"
    for found, exact in zip((sweep.source_latents, sweep.edit_latents[1]), wanted, strict=True):
        # fp32 rounds latents of this size by some 2e-6 of their greatest value.
        assert (found - exact).abs().max() < max(1e-3 * moved, 2e-6 * exact.abs().max())


def test_attention_of_the_family_excludes_the_padding(editor: p2p.Editor, pipeline: PixArtSigmaPipeline):
    """The attention to the words equals the maps; the rest belongs to the end token."""
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


def test_a_worker_process_finds_the_family(pixart: Path, tmp_path: Path):
    config = runs.config(
        pixart,
        build_clip(tmp_path / "clip"),
        *("model.family=pixart", "sampler=dpmpp_2m", "sampler.steps=2"),
    )
    stage = Supervised(config, "f")
    try:
        result = stage(Unit(0, tuple(runs.PAIRS[:1])))
    finally:
        stage.close()
    assert not result.failures
    assert len(result.candidates) > 0


def test_the_measure_separates_blurred_from_sharp_edits(path: Path):
    (spec,) = scoring.make_measure_specs(
        runs.config(Path("/m"), Path("/c"), "filter.measures=[{kind:sharpness,least:0.5}]").filter
    )
    measure = load_measure(spec)
    sharp = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    blurred = np.asarray(Image.fromarray(sharp).filter(ImageFilter.GaussianBlur(1)))
    scores = measure.score([sharp, sharp, blurred], [sharp, blurred, sharp])
    assert scores.dtype == np.float32
    assert scores[0] == pytest.approx(1)
    assert scores[1] < 0.5
    assert scores[2] > 2
    assert find_missed_bounds({spec.score: scores}, {spec.score: spec.bounds}, 3) == ["", "sharpness", ""]
