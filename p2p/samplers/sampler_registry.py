"""Choice of a sampler by its name: a built-in one that fits the model's prediction, or a plugin module.

Schedules (spacing, offset, shift, zero terminal SNR, Karras's noise levels) are made by diffusers' schedulers from a
model's own scheduler config.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any, cast

import torch

from p2p.errors import P2PError
from p2p.plugins import load_plugin, source_digest
from p2p.samplers.ddim import ddim
from p2p.samplers.dpmpp_2m import dpmpp_2m
from p2p.samplers.euler import euler
from p2p.samplers.euler_ancestral import euler_ancestral
from p2p.samplers.flow_match_euler import flow_match_euler
from p2p.samplers.lcm import lcm
from p2p.samplers.sampler import Maker, Sampler, SamplerPlugin
from p2p.samplers.scheduler_config import check_fit
from p2p.samplers.unipc import unipc

SAMPLERS: Mapping[str, Maker] = {
    "ddim": ddim,
    "euler": euler,
    "euler_ancestral": euler_ancestral,
    "dpmpp_2m": dpmpp_2m,
    "unipc": unipc,
    "lcm": lcm,
    "flow_match_euler": flow_match_euler,
}
SPACINGS = ("linspace", "leading", "trailing")


def make_sampler(
    name: str, config: Mapping[str, Any], steps: int, device: torch.device, spacing: str | None = None
) -> Sampler:
    """Makes the sampler of this name, or of this plugin module, with the schedule of a model's scheduler config.

    ``spacing`` takes the place of the config's ``timestep_spacing``.

    Raises:
        P2PError: the sampler is unknown or not for the model's prediction, its schedule lacks this number of steps, or
            it has no spacing to choose.
        ModelError: a prediction type other than epsilon, v_prediction and flow, dynamic thresholding or shifting.
    """
    make = maker_of(name)
    check_fit(config, name, steps, spacing)
    if spacing is not None:
        config = {**config, "timestep_spacing": spacing}
    sampler = make(config, steps, device)
    if len(sampler.timesteps) != steps:
        # diffusers rounds "trailing" spacing (61 of 1000 becomes 62), or cut the schedule short.
        raise P2PError(
            f"steps = {steps} becomes {len(sampler.timesteps)} in the model's schedule; use another number of steps"
        )
    return sampler


def maker_of(name: str) -> Maker:
    """Finds the function that makes a sampler. Raises P2PError if no sampler and no module has this name."""
    return SAMPLERS[name] if name in SAMPLERS else cast(SamplerPlugin, _plugin(name)).make


def sampler_digest(name: str) -> str:
    """Hashes (hex SHA-256) the source of a sampler plugin. Raises P2PError as ``maker_of`` does."""
    return source_digest(_plugin(name))


def _plugin(name: str) -> ModuleType:
    return load_plugin("sampler", name, ("make",), P2PError, SAMPLERS)
