from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import p2p
from conf.schema import ImageFormat
from stages.candidates.requests import make_requests
from stages.generate import Generate, prepare_process
from stages.records import CaptionPair, Unit
from stages.write import encode_part, summarise
from tests import runs

UNIT = Unit(0, runs.PAIRS[:2])


@pytest.fixture(scope="module")
def generate(sd1_folder: Path, clip_folder: Path) -> Generate:
    return Generate(runs.config(sd1_folder, clip_folder, "sheet.pairs=1"), "f" * 64)


def test_kept_images_are_those_of_prompt_to_prompt(generate: Generate, sd1_folder: Path):
    editor = p2p.load(sd1_folder, device="cpu")
    result = generate(UNIT)
    requested = {pair.id: make_requests(pair, generate.config) for pair in UNIT.pairs}
    assert len(result.samples) == 4
    for sample in result.samples:
        about = sample.metadata
        request = requested[about["pair_id"]][about["sample_index"]]
        assert (about["seed"], about["cfg_scale"]) == (request.seed, request.guidance_scale)
        (alone,) = editor.sweep_many([request])
        edit = alone.edits[request.taus.index(about["p2p_threshold"])]
        # One grey level: on its own a sweep runs in batches of another size.
        for image, wanted in ((sample.input_image, alone.source), (sample.edited_image, edit)):
            assert np.abs(image.astype(int) - wanted.astype(int)).max() <= 1


def test_every_candidate_is_recorded_and_one_tau_of_a_seed_kept(generate: Generate):
    result = generate(UNIT)
    assert len(result.candidates) == 2 * 2 * 3
    for pair in UNIT.pairs:
        for index in range(2):
            own = [c for c in result.candidates if (c.pair_id, c.sample_index) == (pair.id, index)]
            assert [c.tau for c in own] == [0.2, 0.5, 1.0]
            (best,) = [c for c in own if c.kept]
            assert best.clip_sim_dir == max(c.clip_sim_dir for c in own)
            assert {c.reason for c in own if not c.kept} == {"other_tau_of_seed"}
    kept = {(s.metadata["pair_id"], s.metadata["sample_index"]) for s in result.samples}
    assert kept == {(c.pair_id, c.sample_index) for c in result.candidates if c.kept}


def test_the_same_unit_makes_the_same_bytes(generate: Generate):
    first, second = generate(UNIT), generate(UNIT)
    assert encode_part(first, ImageFormat.png) == encode_part(second, ImageFormat.png)
    assert first.candidates == second.candidates


def test_metadata_can_make_the_sample_again_in_fixed_types(generate: Generate):
    unit = Unit(1, (runs.PAIRS[4], runs.PAIRS[0]))
    texts = [json.loads(json.dumps(sample.metadata)) for sample in generate(unit).samples]
    assert len({tuple((name, type(value)) for name, value in text.items()) for text in texts}) == 1
    assert None not in texts[0].values()
    wanted = {"input_prompt", "output_prompt", "edit_prompt", "seed", "p2p_threshold", "cfg_scale", "steps"}
    wanted |= {"clip_sim_0", "clip_sim_1", "clip_sim_dir", "clip_sim_image", "sampler", "model_fingerprint"}
    assert wanted <= texts[0].keys()
    assert all(
        type(texts[0][n]) is float for n in ("p2p_threshold", "cfg_scale", "cross_gain", "clip_sim_dir")
    )
    assert {text["meta"] for text in texts} == {"{}", '{"url": "http://a"}'}


def test_a_pair_that_raises_fails_alone(generate: Generate):
    poison = CaptionPair("a red ball", "say much", " ".join(["house"] * 200))
    result = generate(Unit(0, (runs.PAIRS[0], poison, runs.PAIRS[1])))
    (failure,) = result.failures
    assert failure.pair_id == poison.id
    assert "P2PError" in failure.reason
    assert {sample.metadata["pair_id"] for sample in result.samples} == {pair.id for pair in UNIT.pairs}


def test_only_the_first_pairs_have_previews(generate: Generate):
    (preview,) = generate(UNIT).previews
    assert preview.pair == UNIT.pairs[0]
    assert len(preview.edits) == len(preview.candidates) == 3
    assert any(candidate.kept for candidate in preview.candidates)
    assert generate(Unit(1, UNIT.pairs)).previews == ()


def test_a_unit_that_keeps_nothing_is_a_result(sd1_folder: Path, clip_folder: Path):
    strict = Generate(runs.config(sd1_folder, clip_folder, "filter.clip_sim_0=1.01"), "f" * 64)
    result = strict(UNIT)
    assert (result.samples, result.failures) == ((), ())
    assert {candidate.reason for candidate in result.candidates} == {"clip_sim_0"}


def test_a_random_sweep_has_one_candidate_a_sample(sd1_folder: Path, clip_folder: Path):
    more = ("sweep=random", "sweep.samples=3", "sampler=euler_ancestral")
    result = Generate(runs.config(sd1_folder, clip_folder, *more), "f" * 64)(UNIT)
    assert len(result.candidates) == len(result.samples) == 6
    assert len({(c.tau, c.cfg_scale) for c in result.candidates}) == 6


@pytest.mark.parametrize(("method", "taus"), [("sdedit", {0.2, 0.5, 1.0}), ("same_seed", {0.0})])
def test_the_baselines_make_samples(sd1_folder: Path, clip_folder: Path, method: str, taus: set[float]):
    result = Generate(runs.config(sd1_folder, clip_folder, f"edit.method={method}"), "f" * 64)(UNIT)
    assert {candidate.tau for candidate in result.candidates} == taus
    assert {sample.metadata["edit_method"] for sample in result.samples} == {method}
    assert {sample.metadata["p2p_threshold"] for sample in result.samples} <= taus


def test_the_model_computes_as_configured(
    sd1_folder: Path, clip_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    compiled = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module, **settings: compiled.append(settings))
    settings = ("model.dtype=bf16", "model.compile=max-autotune", "model.channels_last=true")
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    try:
        for tf32 in (True, False):
            more = (*settings, f"model.tf32={tf32}")
            editor = Generate(runs.config(sd1_folder, clip_folder, *more), "f" * 64).editor
            assert (matmul.allow_tf32, cudnn.allow_tf32) == (tf32, tf32)
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before
    assert editor.family.dtype == torch.bfloat16
    assert compiled[-1]["mode"] == "max-autotune-no-cudagraphs"
    assert editor.pad, "one shape for one graph"
    weight = editor.family.network.conv_in.weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert not weight.is_contiguous()


def test_scores_beside_the_denoiser_are_the_same(sd1_folder: Path, clip_folder: Path, generate: Generate):
    """As on a GPU, a grid is decoded and scored while it is denoised."""
    beside = Generate(runs.config(sd1_folder, clip_folder, "sheet.pairs=1"), "f" * 64)
    beside.editor.decodes_beside = True
    made, expected = beside(UNIT), generate(UNIT)
    assert [(c.pair_id, c.sample_index, c.tau) for c in made.candidates] == [
        (c.pair_id, c.sample_index, c.tau) for c in expected.candidates
    ]
    assert made.rows == expected.rows
    assert {"denoise", "decode", "score"} <= made.seconds.keys()
    scores = [[c.clip_sim_dir for c in result.candidates] for result in (made, expected)]
    assert scores[0] == pytest.approx(scores[1], abs=0.05)


def test_variables_of_the_user_stay(monkeypatch: pytest.MonkeyPatch):
    given = {"TRITON_CACHE_DIR": "/mine"}
    monkeypatch.setattr(os, "environ", given)
    prepare_process("/node/kernels")
    assert given == {
        "PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True",
        "TORCHINDUCTOR_CACHE_DIR": "/node/kernels",
        "TRITON_CACHE_DIR": "/mine",
    }


def test_the_record_says_that_memory_halved_the_batches(
    sd1_folder: Path, clip_folder: Path, generate: Generate, monkeypatch: pytest.MonkeyPatch
):
    """It says so for the unit whose batches were halved, and not for the next one."""
    family, fits = generate.editor.family, False
    denoise = family.denoise

    def short_once(latents: torch.Tensor, *rest: Any) -> torch.Tensor:
        nonlocal fits
        if not fits and len(latents) > 8:
            fits = True
            raise torch.OutOfMemoryError("no room")
        return denoise(latents, *rest)

    monkeypatch.setattr(family, "denoise", short_once)
    halved, whole = generate(UNIT), generate(UNIT)
    assert summarise(halved)["batch_rows"] == halved.batch_rows == 16
    assert "batch_rows" not in summarise(whole)
    assert [c.tau for c in halved.candidates] == [c.tau for c in whole.candidates]


def test_automatic_batches_give_the_same_candidates(sd1_folder: Path, clip_folder: Path, generate: Generate):
    auto = Generate(
        runs.config(sd1_folder, clip_folder, "sheet.pairs=1", "cluster.batch_rows=null"), "f" * 64
    )
    made, expected = auto(UNIT), generate(UNIT)
    assert [c.tau for c in made.candidates] == [c.tau for c in expected.candidates]
    assert made.rows == expected.rows
    scores = [[c.clip_sim_dir for c in result.candidates] for result in (made, expected)]
    assert scores[0] == pytest.approx(scores[1], abs=0.05)
