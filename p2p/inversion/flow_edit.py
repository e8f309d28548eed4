"""FlowEdit: edits an image with a flow model, without inversion (Kulikov et al. 2024, algorithm 1).

Each step noises the image x anew, z = (1 − σ) x + σ ε, and moves the edit's latents z_e by the difference of two
velocities:

    z_e ← z_e + Δσ (v(z_e + z − x, target) − v(z, source))

The latents of the edit's trajectory are here z* = z_e + z − x. Then z* makes the sampler's own step, and is moved by as
much as the source, whose own step from z leads elsewhere than to the image noised for the next step. After the last
step z = x and z* = z_e. An edit starts from z* = z at the step τ T, so at τ = 1 it is the image.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from p2p.errors import P2PError
from p2p.families.family import Family
from p2p.samplers.flow_match_euler import FlowMatchEuler
from p2p.sweep.noise import step_noise
from p2p.sweep.sweep_plan import SweepPlan


def edit_flow(plan: SweepPlan, latents: Tensor, family: Family) -> SweepPlan:
    """Makes the plan of FlowEdit, of a plan with ``restarts`` and an image's latents (C, h, w).

    Raises:
        P2PError: the model does not predict a flow.
    """
    request, sampler = plan.request, plan.sampler
    if not isinstance(sampler, FlowMatchEuler):
        raise P2PError(
            "method='flowedit' needs a model that predicts a flow, with sampler='flow_match_euler'"
        )
    C, h, w = latents.shape
    noised = [
        sampler.noised(latents, step_noise(request.seed, i, (C, h, w)).to(latents.device), i).x
        for i in range(request.steps)
    ]
    own = request.source_guidance_scale
    scale = request.guidance_scale if own is None else own
    source, guided = plan.source, plan.guided
    if family.embeds_guidance:
        source = (*source[:-1], torch.full_like(source[-1], scale))
    elif scale > 1:
        guided = (True,) * request.steps
    return replace(
        plan,
        source=source,
        guided=guided,
        source_guided=scale > 1,
        source_guidance=own,
        stored=torch.stack([*noised, latents]),
        follows=True,
        forks=tuple(branch for branch in plan.restarts if branch.start < request.steps),
        restarts=tuple(branch for branch in plan.restarts if branch.start == request.steps),
    )
