from __future__ import annotations

import pytest

from conf.schema import Inversion, SamplerName
from p2p.errors import P2PError
from p2p.inversion.inversion_check import STOCHASTIC, check_inversion
from p2p.inversion.inversion_registry import METHODS
from p2p.models.model_limits import ModelLimits
from p2p.samplers.sampler_registry import make_sampler

CONFIG = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
}


def test_the_setting_has_the_names_of_the_methods() -> None:
    assert {entry.value for entry in Inversion} == set(METHODS)


def test_the_samplers_that_draw_noise_are_known() -> None:
    names = [name for name in SamplerName if name is not SamplerName.flow_match_euler]
    drawing = [name for name in names if make_sampler(name, CONFIG, 4, "cpu", None).stochastic]
    assert sorted(drawing) == sorted(STOCHASTIC)


@pytest.mark.parametrize("inversion", [name for name in METHODS if name != "rf_inversion"])
@pytest.mark.parametrize("sampler", ["ddim", "euler", "dpmpp_2m"])
def test_what_works_is_let_through(inversion: str, sampler: str) -> None:
    check_inversion(inversion, sampler, None, ModelLimits(), 7.5)
    check_inversion("direct", sampler, "night", ModelLimits(unconditional=False), 1)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("direct", "lcm", None, ModelLimits(), 7.5), "sampler 'lcm' draws noise"),
        (("rf_inversion", "ddim", None, ModelLimits(), 7.5), "is for models that predict a flow"),
        (("negative_prompt", "ddim", "night", ModelLimits(), 7.5), "has a negative prompt of its own"),
        (
            ("negative_prompt", "ddim", None, ModelLimits(unconditional=False), 7.5),
            "a model that embeds the guidance",
        ),
        (("negative_prompt", "ddim", None, ModelLimits(), 1.0), "guidance 1 has not; use direct"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(arguments: tuple, reason: str) -> None:
    with pytest.raises(P2PError, match=reason) as raised:
        check_inversion(*arguments)
    assert "\n" not in str(raised.value)
