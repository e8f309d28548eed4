from __future__ import annotations

from dataclasses import fields

from hydra._internal.utils import get_args_parser

from conf.hydra_options import NO_OPTIONS, HydraOptions
from pipeline.cli.registry import RUN, HydraOption


def test_every_option_has_a_field_and_is_one_of_hydra():
    options = {param.name: set(param.opts) for param in RUN.params if isinstance(param, HydraOption)}
    assert options.keys() == {entry.name for entry in fields(HydraOptions)} - {"saved"}
    of_hydra = {name for action in get_args_parser()._actions for name in action.option_strings}
    assert set().union(*options.values()) <= of_hydra


def test_no_options_change_nothing():
    assert not any(vars(NO_OPTIONS).values())
