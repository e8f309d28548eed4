"""One step of a batch, against the paper's algorithm 1 with materialised maps and diffusers' schedulers, in fp32."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import p2p
from p2p.samplers.sampler_registry import make_sampler
from p2p.sweep.denoising_step import advance, blend_with_source
from p2p.sweep.executor import run_plans, start_jobs
from p2p.sweep.sweep_plan import SweepPlan, make_plan
from p2p.sweep.trajectory import Job
from tests import models
from tests.oracle import naive

SOURCE, TARGET = "a red ball on grass", "a blue box on grass"  # equal counts of tokens
MakePlan = Callable[..., SweepPlan]


@pytest.fixture
def plan(editor: p2p.Editor) -> MakePlan:
    """Plans of one edit, injected at all steps."""
    config = editor.family.scheduler_config
    sampler = cache(lambda name, steps, spacing: make_sampler(name, config, steps, torch.device("cpu")))

    def plan(index: int = 0, tau: float = 1.0, self_gain: float = 1.0, **settings: Any) -> SweepPlan:
        request = p2p.SweepRequest(SOURCE, TARGET, (tau,), self_gain=self_gain, **settings)
        return make_plan(index, request, editor.family, sampler)

    return plan


def first_job(plan: SweepPlan) -> Job:
    """The job of the source and of its edit, which is injected."""
    (job,) = start_jobs(plan, batch_rows=32)
    return job


@torch.inference_mode()
def steps(editor: p2p.Editor, jobs: list[Job], count: int, padded_to: int | None = None) -> list[Job]:
    for _ in range(count):
        jobs = advance(editor.family, jobs, padded_to)
    return jobs


@torch.no_grad()
def naive_step(pipeline: StableDiffusionPipeline, job: Job) -> Tensor:
    """The latents (2, C, h, w) of a source and its edit, whose maps are all the source's, one step on."""
    request, step = job[0].plan.request, job[0].step
    window = pipeline.tokenizer.model_max_length
    edit = naive.NaiveEdit({j: [(j, 1.0)] for j in range(window)}, request.steps, request.steps)
    attention = naive.NaiveAttention(edit)
    attention.step = step
    attention.seen.append([])
    pipeline.unet.set_attn_processor(attention)
    scheduler = naive.SCHEDULERS[request.sampler].from_config(pipeline.scheduler.config)
    scheduler.set_timesteps(request.steps)
    t, x = scheduler.timesteps[step], torch.stack([trajectory.state.x for trajectory in job])
    prompts = [SOURCE, TARGET] if request.guidance_scale <= 1 else ["", "", SOURCE, TARGET]
    rows = x.repeat(len(prompts) // 2, 1, 1, 1)
    output = pipeline.unet(scheduler.scale_model_input(rows, t), t, naive.encode(pipeline, prompts)).sample
    if request.guidance_scale > 1:
        unconditional, conditional = output.chunk(2)
        output = unconditional + request.guidance_scale * (conditional - unconditional)
    return scheduler.step(output, t, x).prev_sample


def test_a_mixed_batch_is_algorithm_1(
    editor: p2p.Editor, pipeline: StableDiffusionPipeline, plan: MakePlan
) -> None:
    """Jobs at steps of their own, with other samplers, numbers of steps and guidance, in one call."""
    made = [
        plan(0, steps=5, guidance_scale=3.0),
        plan(1, steps=4, guidance_scale=1.0, seed=1),
        plan(2, steps=6, guidance_scale=2.0, sampler="euler", seed=2),
    ]
    jobs = [steps(editor, [first_job(p)], count)[0] for count, p in enumerate(made)]
    after = steps(editor, jobs, 1)
    for job, moved in zip(jobs, after, strict=True):
        assert [trajectory.step for trajectory in moved] == [job[0].step + 1] * 2
        latents = torch.stack([trajectory.state.x for trajectory in moved])
        expected = naive_step(pipeline, job)
        assert (latents - expected).abs().max() < 1e-5 * expected.abs().max()


def test_a_batch_may_be_padded_and_reordered(editor: p2p.Editor, plan: MakePlan) -> None:
    jobs = [first_job(plan(k, steps=4, seed=k, guidance_scale=scale)) for k, scale in enumerate((3.0, 1.0))]
    plain = steps(editor, jobs, 2)
    for others in (steps(editor, jobs[::-1], 2)[::-1], steps(editor, jobs, 2, padded_to=9)):
        for job, other in zip(plain, others, strict=True):
            for a, b in zip(job, other, strict=True):
                assert torch.allclose(a.state.x, b.state.x, atol=1e-5)


def test_guidance_is_affine_in_its_scale(editor: p2p.Editor, plan: MakePlan) -> None:
    """Equation 6 of Ho & Salimans 2022, through DDIM's step, which is linear in the output."""
    one, two, four = (
        torch.stack(
            [t.state.x for t in steps(editor, [first_job(plan(steps=4, guidance_scale=scale))], 1)[0]]
        )
        for scale in (1.0, 2.0, 4.0)
    )
    assert (two - one).abs().max() > 1e-3
    assert torch.allclose(four - two, 2 * (two - one), atol=1e-5)


def test_source_and_edit_share_the_noise_of_a_stochastic_step(editor: p2p.Editor, plan: MakePlan) -> None:
    request = plan(steps=4, sampler="euler_ancestral").request
    same = make_plan(
        0,
        replace(request, target=SOURCE, taus=(0.0,)),
        editor.family,
        lambda name, count, spacing: make_sampler(
            name, editor.family.scheduler_config, count, torch.device("cpu")
        ),
    )
    source, edit = steps(editor, start_jobs(same, 32), 1)
    assert torch.allclose(source[0].state.x, edit[0].state.x, atol=1e-5)


def test_a_step_changes_no_trajectory(editor: p2p.Editor, plan: MakePlan) -> None:
    job = first_job(plan(steps=4, blend=("ball", "box")))
    before = [(t.state.x.clone(), t.column_sums.clone()) for t in job if t.column_sums is not None]
    assert len(before) == 2
    steps(editor, [job], 1)
    for trajectory, (x, sums) in zip(job, before, strict=True):
        assert trajectory.step == 0
        assert torch.equal(trajectory.state.x, x)
        assert torch.equal(trajectory.column_sums, sums)


def test_clean_latents_are_predicted_before_the_early_stop(editor: p2p.Editor, plan: MakePlan) -> None:
    """The prediction x̂₀ lies on the line through two steps of DDIM: x = √ᾱ x̂₀ + √(1 − ᾱ) ε with one ε."""
    jobs, latents = [first_job(replace(plan(steps=5), early_stop_step=3))], []
    for step in range(5):
        jobs = steps(editor, jobs, 1)
        latents.append(torch.stack([trajectory.state.x for trajectory in jobs[0]]))
        assert [t.predicted is not None for t in jobs[0]] == [step + 1 == 3] * 2
        if step + 1 == 3:
            predicted = torch.stack([t.predicted for t in jobs[0] if t.predicted is not None])
    sampler = jobs[0][0].plan.sampler
    a, b = sampler.alpha[2], sampler.alpha_next[2]
    epsilon = (latents[1] - a.sqrt() * predicted) / (1 - a).sqrt()
    assert torch.allclose(latents[2], b.sqrt() * predicted + (1 - b).sqrt() * epsilon, atol=1e-4)


def test_a_blend_leaves_the_source_outside_its_mask(editor: p2p.Editor, plan: MakePlan) -> None:
    blend = p2p.Blend("ball", "box", threshold=0.9, start=0.5)
    (job,) = steps(editor, [first_job(plan(tau=1.0, self_gain=0.0, steps=4, blend=blend))], 2)
    source, edit = job
    assert (source.state.x != edit.state.x).all(0).any(), "nothing is blended before the start"
    assert blend_with_source(job) == job
    ((source, edit),) = steps(editor, [job], 1)
    same = (source.state.x == edit.state.x).all(0)
    assert 0 < same.float().mean() < 1, "some pixels are the source's and some are not"


def test_rows_without_guidance_are_not_doubled(
    editor: p2p.Editor, plan: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[int] = []
    denoise = editor.family.denoise

    def counted(latents: Tensor, *rest: Any) -> Tensor:
        rows.append(len(latents))
        return denoise(latents, *rest)

    monkeypatch.setattr(editor.family, "denoise", counted)
    made = plan(steps=6, guidance_scale=3.0, guidance_interval=(0.5, 6.0))
    steps(editor, [first_job(made)], 6)
    assert rows == [4 if guided else 2 for guided in made.guided]
    assert set(rows) == {2, 4}


class NoSynchronisation(TorchDispatchMode):
    """Refuses operations that would make the host wait for a GPU: those whose result a Python number or shape needs."""

    REFUSED = (
        "_local_scalar_dense",
        "nonzero",
        "masked_select",
        "is_nonzero",
        "equal",
        "unique",
    )

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, overload = func.overloadpacket.__name__, func._overloadname
        assert not (name == "repeat_interleave" and overload != "self_int"), (
            "its length is that of the repeats"
        )
        assert name not in self.REFUSED, f"{name} waits for the device"
        if name in ("index", "index_put", "index_put_"):
            assert all(at is None or at.dtype != torch.bool for at in args[1]), "a mask as an index waits too"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    "save",
    [
        partial(models.save_stable_diffusion, version=1),
        models.save_stable_diffusion_xl,
        models.save_stable_diffusion_3,
        models.save_flux,
    ],
    ids=["sd", "sdxl", "sd3", "flux"],
)
def test_steps_never_wait_for_the_device(save: Callable[[Path], Path], tmp_path: Path) -> None:
    """Forks, injection of every kind, guidance, padding, and a stochastic sampler where the family has one."""
    editor = p2p.load(save(tmp_path / "model"), device="cpu")
    flow = save in (models.save_stable_diffusion_3, models.save_flux)
    settings: dict[str, Any] = {"steps": 3, "guidance_scale": 3.0}
    requests = [
        p2p.SweepRequest(
            SOURCE,
            TARGET,
            (0.0, 0.4, 1.0),
            sampler="flow_match_euler" if flow else "euler_ancestral",
            **settings,
        ),
        p2p.SweepRequest(
            SOURCE,
            "a red ball on grass at night",
            (0.5, 1.0),
            sampler="flow_match_euler" if flow else "dpmpp_2m",
            reweight={"night": 2.0},
            **settings,
        ),
    ]
    with torch.inference_mode():
        plans = [
            make_plan(k, request, editor.family, editor._samplers()) for k, request in enumerate(requests)
        ]
        for compiled in (False, True):
            with NoSynchronisation():
                run_plans(editor.family, plans, 16, pad=compiled)
