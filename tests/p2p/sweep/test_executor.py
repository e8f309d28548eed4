"""The tree in shared batches: as many rows as it needs, and the results of separate runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import p2p
from p2p.samplers.sampler_registry import SAMPLERS

SOURCE, TARGET = "a red ball on grass", "a blue hexagon on grass"
TAUS = tuple(k / 10 for k in range(1, 10))
GUIDED_PAIRS = 50 + 270


class Calls:
    """Counts the denoiser's calls and rows."""

    def __init__(self, editor: p2p.Editor, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rows: list[int] = []
        denoise = editor.family.denoise

        def counted(latents: torch.Tensor, *rest: Any) -> torch.Tensor:
            self.rows.append(len(latents))
            return denoise(latents, *rest)

        monkeypatch.setattr(editor.family, "denoise", counted)


@pytest.mark.parametrize(("guidance_scale", "doubled"), [(4.0, 2), (1.0, 1)])
def test_rows_are_the_minimum(
    sd1_editor: p2p.Editor, guidance_scale: float, doubled: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = Calls(sd1_editor, monkeypatch)
    sweep = sd1_editor.sweep(
        SOURCE, TARGET, taus=TAUS, steps=50, self_gain=1.0, guidance_scale=guidance_scale
    )
    assert sweep.rows == doubled * GUIDED_PAIRS
    assert sum(calls.rows) == sweep.rows


def test_guidance_on_an_interval_takes_its_own_rows_alone(
    sd1_editor: p2p.Editor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 50 steps, so many as the schedule has levels in the interval are doubled, for source and branches alike."""
    calls = Calls(sd1_editor, monkeypatch)
    scheduler = DDIMScheduler.from_config(sd1_editor.family.scheduler_config)
    scheduler.set_timesteps(50)
    alphas = scheduler.alphas_cumprod[scheduler.timesteps]
    guided = [0.3 < level <= 5.0 for level in ((1 - alphas) / alphas).sqrt().tolist()]
    assert 10 < sum(guided) < 45
    sweep = sd1_editor.sweep(
        SOURCE,
        TARGET,
        taus=TAUS,
        steps=50,
        self_gain=1.0,
        guidance_scale=4.0,
        guidance_interval=(0.3, 5.0),
    )
    # At step i there are the source, the released (τ · 50 ≤ i) and, while any is injected, the trunk.
    width = [1 + sum(5 * k <= i for k in range(1, 10)) + (i < 45) for i in range(50)]
    assert sum(width) == GUIDED_PAIRS
    assert sweep.rows == sum(count * (1 + on) for count, on in zip(width, guided, strict=True))
    assert sum(calls.rows) == sweep.rows


def test_an_interval_of_all_levels_is_none(sd1_editor: p2p.Editor) -> None:
    everywhere, said = (
        sd1_editor.sweep(SOURCE, TARGET, steps=4, guidance_interval=interval)
        for interval in ((0.0, float("inf")), None)
    )
    assert everywhere.rows == said.rows
    assert torch.equal(everywhere.edit_latents, said.edit_latents)


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    taus=st.lists(st.integers(0, 20).map(lambda k: k / 20), min_size=1, max_size=5),
    steps=st.integers(1, 6),
    sampler=st.sampled_from(sorted(set(SAMPLERS) - {"flow_match_euler"})),
    word_tau=st.none() | st.sampled_from([0.0, 0.5, 1.0]),
    batch_rows=st.sampled_from([4, 7, 32]),
    self_gain=st.sampled_from([0.0, 0.5, 1.0]),
)
def test_the_tree_is_as_many_separate_runs(
    sd1_editor: p2p.Editor,
    taus: list[float],
    steps: int,
    sampler: str,
    word_tau: float | None,
    batch_rows: int,
    self_gain: float,
) -> None:
    def request(taus: list[float]) -> p2p.SweepRequest:
        words = None if word_tau is None else {"hexagon": word_tau}
        return p2p.SweepRequest(
            SOURCE,
            TARGET,
            taus,
            steps=steps,
            sampler=sampler,
            guidance_scale=3.0,
            self_gain=self_gain,
            word_taus=words,
        )

    tree = sd1_editor.sweep_many([request(taus)], batch_rows)[0]
    for tau, latents in zip(taus, tree.edit_latents, strict=True):
        alone = sd1_editor.sweep_many([request([tau])])[0]
        assert torch.allclose(latents, alone.edit_latents[0], atol=1e-4)
        assert torch.allclose(tree.source_latents, alone.source_latents, atol=1e-4)


@pytest.fixture(scope="module")
def flow_editor(sd1_folder: Path) -> p2p.Editor:
    """The small model with a scheduler that takes what it predicts for a flow."""
    editor = p2p.load(sd1_folder, device="cpu")
    editor.family.scheduler_config = {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}
    return editor


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_tree_forks_all_that_a_sampler_remembers(
    sd1_editor: p2p.Editor, flow_editor: p2p.Editor, sampler: str
) -> None:
    """Branches leave the trunk at every other step; the batch is too small for all rows to be at one step."""
    editor = flow_editor if sampler == "flow_match_euler" else sd1_editor

    def request(*taus: float) -> p2p.SweepRequest:
        return p2p.SweepRequest(SOURCE, TARGET, taus, steps=6, sampler=sampler, guidance_scale=3.0)

    taus = (0.0, 0.35, 0.65, 1.0)
    tree = editor.sweep_many([request(*taus)], batch_rows=6)[0]
    scale = tree.edit_latents.abs().max()
    assert (tree.edit_latents[0] - tree.edit_latents[-1]).abs().max() > 1e-3 * scale, "nothing is injected"
    for tau, latents in zip(taus, tree.edit_latents, strict=True):
        alone = editor.sweep_many([request(tau)])[0]
        assert (latents - alone.edit_latents[0]).abs().max() < 1e-5 * scale
        assert (tree.source_latents - alone.source_latents).abs().max() < 1e-5 * scale


def mixed_requests() -> list[p2p.SweepRequest]:
    """Sweeps that differ in everything that may differ within a batch."""
    return [
        p2p.SweepRequest(SOURCE, TARGET, TAUS, seed=1, steps=9, guidance_scale=3.0),
        p2p.SweepRequest(SOURCE, "a red ball on grass at night", (0.4,), seed=2, steps=5, guidance_scale=1.0),
        p2p.SweepRequest(TARGET, SOURCE, (0.0, 1.0), steps=4, sampler="euler_ancestral", guidance_scale=2.0),
        p2p.SweepRequest(
            SOURCE,
            TARGET,
            (0.5,),
            steps=6,
            guidance_scale=5.0,
            inject_unconditional=True,
            reweight={"blue": 1.5},
        ),
        p2p.SweepRequest("a cat", "a dog", (0.3, 0.6), steps=4, word_taus={"dog": 0.0}, guidance_scale=3.0),
        p2p.SweepRequest(SOURCE, TARGET, (0.2, 0.7), steps=7, sampler="dpmpp_2m", guidance_scale=3.0),
        p2p.SweepRequest(TARGET, SOURCE, (0.2, 0.7), steps=4, sampler="dpmpp_2m", guidance_scale=3.0),
        p2p.SweepRequest(SOURCE, TARGET, TAUS, seed=4, steps=6, guidance_interval=(0.5, 6.0)),
        p2p.SweepRequest(SOURCE, TARGET, (0.5, 0.9), steps=3, sampler="lcm", guidance_scale=1.0),
    ]


@pytest.mark.parametrize("batch_rows", [4, pytest.param(9, marks=pytest.mark.long), 32])
def test_results_do_not_depend_on_the_company(sd1_editor: p2p.Editor, batch_rows: int) -> None:
    together = sd1_editor.sweep_many(mixed_requests(), batch_rows)
    for request, among in zip(mixed_requests(), together, strict=True):
        alone = sd1_editor.sweep_many([request])[0]
        scale = alone.edit_latents.abs().max()
        assert (alone.source_latents - among.source_latents).abs().max() / scale < 1e-5
        assert (alone.edit_latents - among.edit_latents).abs().max() / scale < 1e-5
        assert abs(alone.edits.astype(int) - among.edits).max() <= 1


def test_batches_keep_to_their_limit_and_are_full(
    sd1_editor: p2p.Editor, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = Calls(sd1_editor, monkeypatch)
    requests = [
        p2p.SweepRequest(SOURCE, TARGET, TAUS, seed=seed, steps=10, self_gain=1.0) for seed in range(8)
    ]
    sweeps = sd1_editor.sweep_many(requests, batch_rows=16)
    assert max(calls.rows) == 16
    assert sum(calls.rows) == sum(sweep.rows for sweep in sweeps)
    assert sum(calls.rows) > 0.95 * 16 * len(calls.rows), "rows that are ready fill the batches"


def test_branches_that_do_not_fit_get_a_copy_of_the_source(sd1_editor: p2p.Editor) -> None:
    """Two branches, from the third step three; one is injected to the end, the others for four of eight steps."""
    request = p2p.SweepRequest(
        SOURCE, TARGET, (0.0, 0.5, 1.0), steps=8, self_gain=0.5, guidance_scale=3.0, word_taus={"grass": 0.5}
    )
    whole, cut = (sd1_editor.sweep_many([request], batch_rows)[0] for batch_rows in (8, 4))
    edits = 2 * 2 + 6 * 3
    assert whole.rows == 2 * (edits + 8)
    # Copies go with every branch but the first, and end with its injection.
    assert cut.rows == 2 * (edits + 8 + 2 * 1 + 2 * 2 + 4 * 1)
    assert torch.allclose(whole.edit_latents, cut.edit_latents, atol=1e-4)


def test_too_few_rows_for_a_source_and_its_edit(sd1_editor: p2p.Editor) -> None:
    with pytest.raises(p2p.P2PError, match="batch_rows = 3 is too few; a source and its edit need 4 rows"):
        sd1_editor.sweep_many([p2p.SweepRequest(SOURCE, TARGET)], batch_rows=3)


@pytest.fixture
def padding_editor(sd1_folder: Path) -> p2p.Editor:
    """An editor whose batches have one shape, as a compiled denoiser's have."""
    editor = p2p.load(sd1_folder, device="cpu")
    editor.pad = True
    return editor


def test_one_shape_and_the_same_bits_in_any_company(
    padding_editor: p2p.Editor, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = Calls(padding_editor, monkeypatch)
    together = padding_editor.sweep_many(mixed_requests(), batch_rows=12)
    assert set(calls.rows) == {12}
    assert padding_editor.usage.rows == sum(sweep.rows for sweep in together)
    assert padding_editor.usage.padding == 12 * len(calls.rows) - padding_editor.usage.rows
    for request, among in zip(mixed_requests(), together, strict=True):
        alone = padding_editor.sweep_many([request], batch_rows=12)[0]
        assert torch.equal(among.source_latents, alone.source_latents)
        assert torch.equal(among.edit_latents, alone.edit_latents)


def test_padding_is_rare(padding_editor: p2p.Editor, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the denoiser says has no influence on its batches; here it says nothing."""
    monkeypatch.setattr(padding_editor.family, "denoise", lambda latents, *_: torch.zeros_like(latents))
    padding_editor.sweep_many([p2p.SweepRequest(SOURCE, TARGET, seed=seed) for seed in range(64)])
    usage = padding_editor.usage
    assert usage.calls * 32 == usage.rows + usage.padding
    assert usage.padding < 0.05 * (usage.rows + usage.padding)
