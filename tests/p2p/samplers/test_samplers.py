"""Step for step what diffusers' schedulers do, with rows at steps of their own."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    LCMScheduler,
)
from torch import Tensor

from p2p.errors import ModelError, P2PError
from p2p.samplers import SAMPLERS, State, make_sampler, stack, unstack

CPU = torch.device("cpu")
SCHEDULERS: dict[str, Any] = {
    "ddim": DDIMScheduler,
    "euler": EulerDiscreteScheduler,
    "euler_ancestral": EulerAncestralDiscreteScheduler,
    "dpmpp_2m": DPMSolverMultistepScheduler,
    "lcm": LCMScheduler,
    "flow_match_euler": FlowMatchEulerDiscreteScheduler,
}
SD = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
V = {"prediction_type": "v_prediction"}
DIFFUSION: dict[str, dict[str, Any]] = {
    "SD1": {**SD, "clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1},
    "SD2": {**SD, **V, "clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1},
    "trailing": {**SD, **V, "clip_sample": False, "timestep_spacing": "trailing"},
    "linspace": {**SD, "clip_sample": False, "timestep_spacing": "linspace"},
    "clipped": {**SD, "clip_sample": True, "clip_sample_range": 1.5, "beta_schedule": "linear"},
    "zero terminal SNR": {
        **SD,
        **V,
        "clip_sample": False,
        "rescale_betas_zero_snr": True,
        "timestep_spacing": "trailing",
    },
}
OWN: dict[str, dict[str, dict[str, Any]]] = {
    "euler": {
        "Karras": {**SD, "use_karras_sigmas": True},
        "an end with noise": {**SD, **V, "final_sigmas_type": "sigma_min"},
        "log-linear": {**SD, "interpolation_type": "log_linear"},
    },
    "dpmpp_2m": {
        "Karras": {**SD, "use_karras_sigmas": True},
        "Karras, v": {**SD, **V, "use_karras_sigmas": True, "timestep_spacing": "leading"},
        "an end with noise": {**SD, "final_sigmas_type": "sigma_min"},
        "an end with noise, all second order": {
            **SD,
            "final_sigmas_type": "sigma_min",
            "lower_order_final": False,
        },
        "Euler's last step": {
            **SD,
            "final_sigmas_type": "sigma_min",
            "lower_order_final": False,
            "euler_at_final": True,
        },
    },
    "lcm": {
        "distilled with more": {**SD, "original_inference_steps": 100, "timestep_scaling": 8.0},
        "clipped, v": {**SD, **V, "clip_sample": True, "clip_sample_range": 0.7},
    },
}
FLOW = {"_class_name": "FlowMatchEulerDiscreteScheduler"}
FLOWS: dict[str, dict[str, Any]] = {
    "plain": {**FLOW},
    "SD3": {**FLOW, "shift": 3.0},
    "Karras": {**FLOW, "use_karras_sigmas": True},
    "to a terminal": {**FLOW, "shift": 2.0, "shift_terminal": 0.1},
    "another scheduler's": {"prediction_type": "flow_prediction", "shift": 1.5},
}
CASES = [
    pytest.param(sampler, config, id=f"{sampler}-{name}")
    for sampler in SCHEDULERS
    for name, config in (
        FLOWS if sampler == "flow_match_euler" else {**DIFFUSION, **OWN.get(sampler, {})}
    ).items()
]

# One step of a schedule that is stretched to a terminal is refused; diffusers divides by zero there.
LENGTHS = [
    pytest.param(*case.values, steps, id=f"{case.id}-{steps}")
    for case in CASES
    for steps in (1, 2, 7, 15, 50)
    if steps > 1 or "shift_terminal" not in case.values[1]
]


def ready(sampler: str, config: dict[str, Any], steps: int) -> Any:
    """Diffusers' scheduler, at its first step even if its first timestep comes twice."""
    scheduler = SCHEDULERS[sampler].from_config(config)
    scheduler.set_timesteps(steps)
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(0)
    return scheduler


def reference(sampler: str, config: dict[str, Any], steps: int, outputs: Tensor, noises: Tensor) -> Tensor:
    """Latents before every step and after the last, (T + 1, C, h, w), by diffusers."""
    scheduler = ready(sampler, config, steps)
    x = noises[-1:] * getattr(scheduler, "init_noise_sigma", 1.0)
    track = [x]
    module = type(scheduler).__module__
    for t, output, noise in zip(scheduler.timesteps, outputs, noises, strict=False):
        if hasattr(scheduler, "scale_model_input"):
            scheduler.scale_model_input(x, t)
        with mock.patch(f"{module}.randn_tensor", return_value=noise[None], create=True):
            x = scheduler.step(output[None], t, x).prev_sample
        track.append(x)
    return torch.cat(track)


@pytest.mark.parametrize(("sampler", "config", "steps"), LENGTHS)
def test_equals_diffusers_step_for_step(sampler: str, config: dict[str, Any], steps: int) -> None:
    draw = torch.Generator().manual_seed(steps)
    outputs = torch.randn((steps, 4, 3, 3), generator=draw)
    noises = torch.randn((steps + 1, 4, 3, 3), generator=draw)
    track = reference(sampler, config, steps, outputs, noises)
    ours = make_sampler(sampler, config, steps, CPU)
    states = [ours.start(noises[-1])]
    assert torch.allclose(states[0].x, track[0], rtol=1e-6)
    for k in range(steps):
        # Each step from diffusers' latents: what differs is one step's, and the memory of the one before.
        here = stack([State(track[k], states[k].denoised)])
        states += unstack(ours.step(here, outputs[k : k + 1], torch.tensor([k]), noises[k : k + 1]))
    # All steps in one batch, out of order: every row at a step of its own.
    i = torch.randperm(steps, generator=draw)
    here = stack([State(track[k], states[k].denoised) for k in i.tolist()])
    after = ours.step(here, outputs[i], i, noises[i])
    scale = track[:-1].abs().amax((1, 2, 3))[i].clamp(min=1)
    assert ((after.x - track[i + 1]).abs().amax((1, 2, 3)) / scale).max() < 1e-5
    for row, k in zip(unstack(after), i.tolist(), strict=True):
        assert torch.allclose(row.x, states[k + 1].x, rtol=1e-5, atol=1e-6), "a row depends on its company"


@pytest.mark.parametrize(("sampler", "config"), CASES)
def test_whole_trajectory_is_diffusers(sampler: str, config: dict[str, Any]) -> None:
    """From the noise to the end on our own latents, with a denoiser that looks at them."""
    steps, denoise = 20, torch.tanh
    ours = make_sampler(sampler, config, steps, CPU)
    noises = torch.randn((steps + 1, 4, 3, 3), generator=torch.Generator().manual_seed(1))
    scheduler = ready(sampler, config, steps)
    x = noises[-1:] * getattr(scheduler, "init_noise_sigma", 1.0)
    state = stack([ours.start(noises[-1])])
    for k, t in enumerate(scheduler.timesteps):
        seen = scheduler.scale_model_input(x, t) if hasattr(scheduler, "scale_model_input") else x
        i = torch.tensor([k])
        assert ours.timesteps[k] == t
        assert torch.allclose(ours.model_input(state.x, i), seen, rtol=1e-4, atol=1e-4)
        with mock.patch(
            f"{type(scheduler).__module__}.randn_tensor", return_value=noises[k : k + 1], create=True
        ):
            x = scheduler.step(denoise(seen), t, x).prev_sample
        state = ours.step(state, denoise(ours.model_input(state.x, i)), i, noises[k : k + 1])
    assert torch.allclose(state.x, x, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("sampler", "config"), CASES)
def test_clean_latents_are_noised_as_diffusers_does(sampler: str, config: dict[str, Any]) -> None:
    steps = 20
    ours, scheduler = make_sampler(sampler, config, steps, CPU), ready(sampler, config, steps)
    x, noise = torch.randn((2, 4, 3, 3), generator=torch.Generator().manual_seed(2))
    add_noise = getattr(scheduler, "scale_noise" if sampler == "flow_match_euler" else "add_noise")
    for k in (0, 7, steps - 1):
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(k)
        t = scheduler.timesteps[k : k + 1]
        arguments = (x[None], t, noise[None]) if sampler == "flow_match_euler" else (x[None], noise[None], t)
        state = ours.noised(x, noise, k)
        assert torch.allclose(state.x, add_noise(*arguments)[0], rtol=1e-4, atol=1e-4)
        after = ours.step(stack([state]), noise[None], torch.tensor([k]), noise[None])
        assert after.x.isfinite().all()


@pytest.mark.parametrize(
    "solver", [{"algorithm_type": "sde-dpmsolver++"}, {"solver_type": "heun"}, {"solver_order": 3}]
)
def test_dpmpp_2m_is_algorithm_2_whatever_solver_the_config_has(solver: dict[str, Any]) -> None:
    plain, other = (make_sampler("dpmpp_2m", {**SD, **more}, 20, CPU) for more in ({}, solver))
    state, output = stack([State(torch.ones(4, 3, 3), torch.full((4, 3, 3), 0.5))]), torch.ones(1, 4, 3, 3)
    i = torch.tensor([9])
    assert torch.equal(plain.step(state, output, i, None).x, other.step(state, output, i, None).x)


def test_dpmpp_2m_with_a_timestep_that_comes_twice_stays_finite() -> None:
    steps = 1000
    sampler = make_sampler("dpmpp_2m", {**SD, "timestep_spacing": "linspace"}, steps, CPU)
    assert sampler.timesteps.diff().max() == 0, "the case does not arise"
    rows = torch.ones(steps, 4, 1, 1)
    after = sampler.step(State(rows, 0.5 * rows), rows, torch.arange(steps), None)
    assert after.x.isfinite().all()


@pytest.mark.parametrize("sampler", SCHEDULERS)
def test_noise_is_wanted_by_the_stochastic_alone(sampler: str) -> None:
    ours = make_sampler(sampler, FLOW if sampler == "flow_match_euler" else SD, 4, CPU)
    assert ours.stochastic == (sampler in ("euler_ancestral", "lcm"))


def test_every_sampler_is_proven() -> None:
    assert set(SAMPLERS) == set(SCHEDULERS)


def test_more_steps_than_the_model_was_trained_with() -> None:
    with pytest.raises(P2PError, match="steps = 1001 is more than the 1000"):
        make_sampler("ddim", DIFFUSION["SD1"], 1001, CPU)


def test_more_steps_than_lcm_was_distilled_with() -> None:
    with pytest.raises(P2PError, match="steps = 51 is more than the 50 of LCM's own schedule"):
        make_sampler("lcm", SD, 51, CPU)


@pytest.mark.parametrize("sampler", ["ddim", "euler", "euler_ancestral", "dpmpp_2m"])
def test_steps_that_the_schedule_does_not_have(sampler: str) -> None:
    with pytest.raises(
        P2PError, match="steps = 61 becomes 62 in the model's schedule; use another number of steps"
    ):
        make_sampler(sampler, DIFFUSION["trailing"], 61, CPU)


@pytest.mark.parametrize("sampler", ["ddim", "euler", "euler_ancestral", "dpmpp_2m", "lcm"])
def test_what_diffusion_samplers_do_not_take(sampler: str) -> None:
    with pytest.raises(ModelError, match="prediction type 'sample' is not supported"):
        make_sampler(sampler, {**SD, "prediction_type": "sample"}, 5, CPU)
    with pytest.raises(ModelError, match="thresholding"):
        make_sampler(sampler, {**SD, "thresholding": True}, 5, CPU)
    for config in FLOWS.values():
        with pytest.raises(P2PError, match=f"'{sampler}' does not fit .* a flow; use flow_match_euler"):
            make_sampler(sampler, config, 5, CPU)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_flow_match_euler_is_for_flow_models(prediction: str) -> None:
    with pytest.raises(P2PError, match=f"does not fit .* {prediction}; use ddim or euler or .*lcm"):
        make_sampler("flow_match_euler", {**SD, "prediction_type": prediction}, 5, CPU)


@pytest.mark.parametrize("setting", ["use_dynamic_shifting", "stochastic_sampling"])
def test_what_flow_match_euler_does_not_take(setting: str) -> None:
    with pytest.raises(ModelError, match=f"{setting} is not supported; set it to false"):
        make_sampler("flow_match_euler", {**FLOW, setting: True}, 5, CPU)


def test_one_step_of_a_schedule_stretched_to_a_terminal() -> None:
    with pytest.raises(P2PError, match="steps = 1 is too few for the model's schedule"):
        make_sampler("flow_match_euler", FLOWS["to a terminal"], 1, CPU)


@pytest.mark.parametrize("name", SAMPLERS)
def test_noise_levels_are_of_the_noise_over_the_signal(name: str) -> None:
    sampler = make_sampler(name, FLOWS["SD3"] if name == "flow_match_euler" else DIFFUSION["SD1"], 7, CPU)
    one, nothing = torch.ones(1, 1, 1), torch.zeros(1, 1, 1)
    levels = [
        (sampler.noised(nothing, one, i).x / sampler.noised(one, nothing, i).x).item() for i in range(7)
    ]
    assert sampler.noise_level.shape == (7,)
    assert torch.allclose(sampler.noise_level, torch.tensor(levels), rtol=1e-5)
    assert levels == sorted(levels, reverse=True)
