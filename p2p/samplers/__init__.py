"""Samplers over rows that may each be at a step of their own, one module each.

A sampler remembers nothing but a row's ``State``, so a trajectory forks by using its state twice. Schedules (spacing,
offset, shift, zero terminal SNR, Karras's noise levels) are those that diffusers' schedulers make of a model's own
scheduler config.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any, cast

import torch

from p2p.errors import P2PError
from p2p.plugins import own_module, source_digest
from p2p.samplers.ddim import ddim
from p2p.samplers.dpmpp_2m import dpmpp_2m
from p2p.samplers.euler import euler
from p2p.samplers.euler_ancestral import euler_ancestral
from p2p.samplers.flow_match_euler import flow_match_euler
from p2p.samplers.lcm import lcm
from p2p.samplers.prediction import predicts_flow
from p2p.samplers.sampler import Maker, OwnSampler, Sampler, State, stack, unstack

__all__ = [
    "SAMPLERS",
    "Sampler",
    "State",
    "make_sampler",
    "maker_of",
    "sampler_digest",
    "stack",
    "unstack",
]

_FOR_DIFFUSION: Mapping[str, Maker] = {
    "ddim": ddim,
    "euler": euler,
    "euler_ancestral": euler_ancestral,
    "dpmpp_2m": dpmpp_2m,
    "lcm": lcm,
}
_FOR_FLOW: Mapping[str, Maker] = {"flow_match_euler": flow_match_euler}
SAMPLERS: Mapping[str, Maker] = {**_FOR_DIFFUSION, **_FOR_FLOW}


def make_sampler(name: str, config: Mapping[str, Any], steps: int, device: torch.device) -> Sampler:
    """A sampler by its name, or that of a module of one's own, with the schedule of a model's scheduler config.

    Raises:
        P2PError: a sampler that is unknown or not for what the model predicts, or steps that its schedule does not
            have.
        ModelError: a prediction type other than epsilon, v_prediction and flow, dynamic thresholding or shifting.
    """
    flow = predicts_flow(config)
    fitting = _FOR_FLOW if flow else _FOR_DIFFUSION
    make = maker_of(name)
    if name in SAMPLERS and name not in fitting:
        predicted = "a flow" if flow else config.get("prediction_type", "epsilon")
        raise P2PError(f"sampler {name!r} does not fit a model that predicts {predicted}; {_these(fitting)}")
    trained = config.get("num_train_timesteps", 1000)
    if steps > trained:
        raise P2PError(f"steps = {steps} is more than the {trained} that the model was trained with")
    sampler = make(config, steps, device)
    if len(sampler.timesteps) != steps:
        # Rounding of "trailing" spacing in diffusers (61 of 1000 comes to 62), or a schedule that was cut short.
        raise P2PError(
            f"steps = {steps} comes to {len(sampler.timesteps)} in the model's schedule; take other steps"
        )
    return sampler


def maker_of(name: str) -> Maker:
    """What makes the sampler. Raises P2PError for a name that is none, nor a module with ``make``."""
    return SAMPLERS[name] if name in SAMPLERS else cast(OwnSampler, _own(name)).make


def sampler_digest(name: str) -> str:
    """Hex SHA-256 of the source of a module of one's own. Raises P2PError as ``maker_of`` does."""
    return source_digest(_own(name))


def _own(name: str) -> ModuleType:
    return own_module("sampler", name, ("make",), P2PError, SAMPLERS)


def _these(fitting: Mapping[str, Maker]) -> str:
    return f"{', '.join(fitting)} {'does' if len(fitting) == 1 else 'do'}"
