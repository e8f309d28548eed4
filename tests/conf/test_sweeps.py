from __future__ import annotations

from dataclasses import asdict

import pytest

from conf.bounds import out_of_bounds
from conf.compose import compose_config, to_object
from conf.setting_keys import options
from conf.sweeps import AdaptiveSweep, GridSweep, RandomSweep, Sweep


def sweep(*settings: str) -> Sweep:
    return to_object(compose_config(settings, "/world/{}".format)).sweep


def test_every_option_has_its_schema():
    kinds = {"grid": GridSweep, "random": RandomSweep, "adaptive": AdaptiveSweep}
    assert set(options("sweep")) == set(kinds)
    for name, kind in kinds.items():
        assert type(sweep(f"sweep={name}")) is kind


def test_the_adaptive_preset_has_a_prior_for_each_tau():
    adaptive = sweep("sweep=adaptive")
    assert isinstance(adaptive, AdaptiveSweep)
    assert len(adaptive.prior) == len(adaptive.taus)
    assert adaptive.prior_from is None
    assert adaptive.priors == []


def test_priors_are_read_by_kind_of_edit():
    adaptive = sweep("sweep=adaptive", "sweep.priors=[{kind:colour,prior:[0.2,0.5]}]")
    assert [asdict(prior) for prior in adaptive.priors] == [{"kind": "colour", "prior": [0.2, 0.5]}]


@pytest.mark.parametrize(
    ("setting", "valid"),
    [
        ("taus=[0,1]", True),
        ("taus=[]", False),
        ("taus=[0.5,0.5]", False),
        ("taus=[0.5,1.5]", False),
        ("seeds=0", False),
        ("bisections=0", True),
        ("lack=-0.1", False),
        ("bracket=0", False),
    ],
)
def test_settings_of_the_adaptive_sweep_have_bounds(setting: str, valid: bool):
    problems = list(out_of_bounds(sweep("sweep=adaptive", f"sweep.{setting}"), "sweep."))
    assert [problem.partition("=")[0] for problem in problems] == (
        [] if valid else [f"sweep.{setting.partition('=')[0]}"]
    )
