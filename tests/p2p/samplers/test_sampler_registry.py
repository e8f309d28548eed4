"""Choice of a sampler for a model by its name, with the errors of names and schedules that do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from p2p.errors import ModelError, P2PError
from p2p.samplers.sampler_registry import SAMPLERS, make_sampler
from tests.oracle.schedulers import CPU, FLOW, SD, SD1, TRAILING

FLOWS = [FLOW, {"prediction_type": "flow_prediction", "shift": 1.5}, {"use_flow_sigmas": True}]
DIFFUSION_SAMPLERS = ["ddim", "euler", "euler_ancestral", "dpmpp_2m", "unipc", "lcm"]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_is_compared_with_diffusers(sampler: str) -> None:
    tests = (Path(__file__).parent / f"test_{sampler}.py").read_text()
    assert f'check_sampler("{sampler}", ' in tests


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_only_stochastic_samplers_need_noise(sampler: str) -> None:
    made = make_sampler(sampler, FLOW if sampler == "flow_match_euler" else SD, 4, CPU)
    assert made.stochastic == (sampler in ("euler_ancestral", "lcm"))


def test_more_steps_than_the_model_was_trained_with() -> None:
    with pytest.raises(P2PError, match="steps = 1001 is more than the 1000"):
        make_sampler("ddim", SD1, 1001, CPU)


@pytest.mark.parametrize("sampler", ["ddim", "euler", "euler_ancestral", "dpmpp_2m", "unipc"])
def test_steps_that_the_schedule_does_not_have(sampler: str) -> None:
    with pytest.raises(
        P2PError, match="steps = 61 becomes 62 in the model's schedule; use another number of steps"
    ):
        make_sampler(sampler, TRAILING, 61, CPU)


@pytest.mark.parametrize("sampler", DIFFUSION_SAMPLERS)
def test_diffusion_samplers_refuse_other_predictions(sampler: str) -> None:
    with pytest.raises(ModelError, match="prediction type 'sample' is not supported"):
        make_sampler(sampler, {**SD, "prediction_type": "sample"}, 5, CPU)
    with pytest.raises(ModelError, match="thresholding"):
        make_sampler(sampler, {**SD, "thresholding": True}, 5, CPU)
    for config in FLOWS:
        with pytest.raises(P2PError, match=f"'{sampler}' does not fit .* a flow; use flow_match_euler"):
            make_sampler(sampler, config, 5, CPU)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_flow_match_euler_is_for_flow_models(prediction: str) -> None:
    config: dict[str, Any] = {**SD, "prediction_type": prediction}
    with pytest.raises(P2PError, match=f"does not fit .* {prediction}; use ddim or euler or .*lcm"):
        make_sampler("flow_match_euler", config, 5, CPU)


@pytest.mark.parametrize("spacing", ["linspace", "leading", "trailing"])
@pytest.mark.parametrize("sampler", ["ddim", "euler", "euler_ancestral", "dpmpp_2m", "unipc"])
def test_a_spacing_takes_the_place_of_the_config_s(sampler: str, spacing: str) -> None:
    ours = make_sampler(sampler, TRAILING, 7, CPU, spacing)
    expected = make_sampler(sampler, {**TRAILING, "timestep_spacing": spacing}, 7, CPU)
    assert torch.equal(ours.timesteps, expected.timesteps)
    assert torch.equal(ours.timesteps, make_sampler(sampler, TRAILING, 7, CPU).timesteps) == (
        spacing == "trailing"
    )


@pytest.mark.parametrize(("sampler", "config"), [("lcm", SD), ("flow_match_euler", FLOW)])
def test_schedules_without_spacing(sampler: str, config: dict[str, Any]) -> None:
    with pytest.raises(P2PError, match=f"sampler '{sampler}' has a schedule without spacing"):
        make_sampler(sampler, config, 4, CPU, "leading")
