"""Steps of every deterministic sampler solved backwards, and DDIM inversion as it is published."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler

import p2p
from p2p.inversion.inverse_sampler import InverseSampler, make_inverse, solve_step, start_at
from p2p.samplers.sampler import State
from p2p.samplers.sampler_registry import make_sampler
from tests.oracle.schedulers import CPU, DIFFUSION, FLOW, SD1, V, cases

STEPS = 10
CONFIGS = {name: config for name, config in DIFFUSION.items() if name not in ("clipped", "zero terminal SNR")}


def drawn(seed: int) -> torch.Tensor:
    return torch.randn((STEPS, 4, 3, 3), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", ["ddim", "euler", "dpmpp_2m", "unipc"])
@pytest.mark.parametrize("config", cases(CONFIGS))
def test_a_solved_step_leads_to_the_latents_after_it(name: str, config: dict[str, Any]) -> None:
    check_solved(name, config)


def test_a_solved_step_of_a_flow() -> None:
    check_solved("flow_match_euler", FLOW)


def test_a_schedule_that_begins_without_signal() -> None:
    check_solved("ddim", DIFFUSION["zero terminal SNR"])


def check_solved(name: str, config: dict[str, Any]) -> None:
    """Every step of the schedule, in one batch."""
    sampler = make_sampler(name, config, STEPS, CPU)
    after, output, i = drawn(1), drawn(2), torch.arange(STEPS)
    before = solve_step(sampler, after, output, i)
    memory = sampler.noised(after[0], after[0], 0).denoised
    if memory is not None:
        memory = memory.expand(STEPS, *memory.shape)
    again = sampler.step(State(before, memory), output, i, None).x
    assert torch.allclose(again, after, atol=1e-4 * before.abs().max().item())


@pytest.mark.parametrize("prediction", [{}, V])
def test_ddim_inversion_is_the_published_one(prediction: dict[str, Any]) -> None:
    """Written from Song et al. 2021, equation 13, with diffusers' schedule; ε from v as Salimans & Ho define it."""
    config = {**SD1, **prediction}
    scheduler = DDIMScheduler.from_config(config)
    scheduler.set_timesteps(STEPS)
    inverse = make_inverse(make_sampler("ddim", config, STEPS, CPU), "ddim")
    x = torch.randn((1, 4, 3, 3), generator=torch.Generator().manual_seed(5))
    state, expected = inverse.start(x), x
    for k, output in enumerate(drawn(3)):
        t = int(scheduler.timesteps[STEPS - 1 - k])
        before = t - scheduler.config.num_train_timesteps // STEPS
        low = scheduler.alphas_cumprod[before] if before >= 0 else scheduler.final_alpha_cumprod
        high = scheduler.alphas_cumprod[t]
        assert inverse.timesteps[k] == t
        state = inverse.step(state, output[None], torch.tensor([k]), None)
        if prediction:
            # ε = √ᾱ v + √(1 − ᾱ) x at the latents that are sought: two equations for them and ε.
            system = torch.tensor(
                [[1.0, -((1 - high).sqrt() - (high * (1 - low) / low).sqrt())], [-(1 - high).sqrt(), 1.0]]
            )
            known = torch.stack([(high / low).sqrt() * expected, high.sqrt() * output[None]])
            expected = torch.linalg.solve(system, known.flatten(1)).view_as(known)[0]
        else:
            clean = (expected - (1 - low).sqrt() * output) / low.sqrt()
            expected = high.sqrt() * clean + (1 - high).sqrt() * output
        assert torch.allclose(state.x, expected, atol=1e-4)


def test_the_denoiser_sees_latents_at_their_own_noise_level() -> None:
    """Euler's latents grow with their noise; scaled, they have unit variance before and after a step."""
    euler = make_sampler("euler", SD1, STEPS, CPU)
    inverse = InverseSampler(euler)
    for k in range(1, STEPS):
        level = euler.noise_level[STEPS - k]
        x = torch.full((1, 4, 3, 3), (level**2 + 1).sqrt().item())
        assert torch.allclose(inverse.model_input(x, torch.tensor([k])), torch.ones_like(x))
    clean = torch.ones(1, 4, 3, 3)
    assert torch.equal(inverse.model_input(clean, torch.tensor([0])), clean)


@pytest.mark.parametrize("name", ["ddim", "euler", "dpmpp_2m"])
def test_a_start_is_not_scaled_again(name: str) -> None:
    x = drawn(4)[0]
    state = start_at(make_sampler(name, SD1, STEPS, CPU), x)
    assert torch.equal(state.x, x)


@pytest.mark.parametrize("name", ["euler_ancestral", "lcm"])
def test_samplers_that_draw_noise_are_refused(name: str) -> None:
    with pytest.raises(
        p2p.P2PError, match=f"sampler '{name}' draws noise, so an image has no inversion; use"
    ):
        make_inverse(make_sampler(name, SD1, STEPS, CPU), name)


def test_clipped_predictions_are_inverted_without_their_bound() -> None:
    clipped, free = (
        make_inverse(make_sampler("ddim", {**DIFFUSION["clipped"], "clip_sample": clip}, STEPS, CPU), "ddim")
        for clip in (True, False)
    )
    rows = State(9 * drawn(1)), drawn(2), torch.arange(STEPS), None
    assert torch.equal(clipped.step(*rows).x, free.step(*rows).x)
