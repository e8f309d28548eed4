"""Samplers over rows that may each be at a step of their own, one module each.

A sampler remembers nothing but a row's ``State``, so a trajectory forks by using its state twice. Schedules (spacing,
offset, shift, zero terminal SNR, Karras's noise levels) are those that diffusers' schedulers make of a model's own
scheduler config.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from p2p.errors import P2PError
from p2p.samplers.ddim import ddim
from p2p.samplers.dpmpp_2m import dpmpp_2m
from p2p.samplers.euler import euler
from p2p.samplers.euler_ancestral import euler_ancestral
from p2p.samplers.flow_match_euler import flow_match_euler
from p2p.samplers.lcm import lcm
from p2p.samplers.prediction import predicts_flow
from p2p.samplers.sampler import Sampler, State, stack, unstack

__all__ = ["SAMPLERS", "Sampler", "State", "make_sampler", "stack", "unstack"]

_Maker = Callable[[Mapping[str, Any], int, torch.device], Sampler]

_FOR_DIFFUSION: Mapping[str, _Maker] = {
    "ddim": ddim,
    "euler": euler,
    "euler_ancestral": euler_ancestral,
    "dpmpp_2m": dpmpp_2m,
    "lcm": lcm,
}
_FOR_FLOW: Mapping[str, _Maker] = {"flow_match_euler": flow_match_euler}
SAMPLERS: Mapping[str, _Maker] = {**_FOR_DIFFUSION, **_FOR_FLOW}


def make_sampler(name: str, config: Mapping[str, Any], steps: int, device: torch.device) -> Sampler:
    """A sampler by name with the schedule of a model's scheduler config.

    Raises:
        P2PError: a sampler that is not for what the model predicts, or steps that its schedule does not have.
        ModelError: a prediction type other than epsilon, v_prediction and flow, dynamic thresholding or shifting.
    """
    flow = predicts_flow(config)
    fitting = _FOR_FLOW if flow else _FOR_DIFFUSION
    if name not in fitting:
        predicted = "a flow" if flow else config.get("prediction_type", "epsilon")
        raise P2PError(f"sampler {name!r} does not fit a model that predicts {predicted}; {_these(fitting)}")
    trained = config.get("num_train_timesteps", 1000)
    if steps > trained:
        raise P2PError(f"steps = {steps} is more than the {trained} that the model was trained with")
    sampler = fitting[name](config, steps, device)
    if len(sampler.timesteps) != steps:
        # Rounding of "trailing" spacing in diffusers (61 of 1000 comes to 62), or a schedule that was cut short.
        raise P2PError(
            f"steps = {steps} comes to {len(sampler.timesteps)} in the model's schedule; take other steps"
        )
    return sampler


def _these(fitting: Mapping[str, _Maker]) -> str:
    return f"{', '.join(fitting)} {'does' if len(fitting) == 1 else 'do'}"
