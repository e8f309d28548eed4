"""RF-Inversion, for flow models: the way to noise and the way back are drawn to their ends (Rout et al. 2024).

The inversion, without a caption, is drawn to the seed's noise by γ, so that it ends in typical noise. Source and edits
are drawn to the image by η at the first steps.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from p2p.errors import P2PError
from p2p.families.family import Family
from p2p.inversion.ddim_inversion import start_from_noise
from p2p.inversion.inverse_sampler import InverseSampler
from p2p.inversion.inverted_image import InvertedImage
from p2p.samplers.flow_match_euler import FlowMatchEuler
from p2p.sweep.noise import starting_noise
from p2p.sweep.sweep_plan import Pull, SweepPlan
from p2p.sweep.tree import injected_steps

GAMMA, ETA, UNTIL = 0.5, 0.9, 0.25
"""γ, η, and the fraction of the steps with η."""


def draw_to_noise(backwards: SweepPlan, family: Family) -> SweepPlan:
    """Makes the plan of the inversion, of that of a plain one. Raises P2PError if the model does not predict a flow."""
    assert isinstance(backwards.sampler, InverseSampler)
    sampler = backwards.sampler.sampler
    if not isinstance(sampler, FlowMatchEuler):
        raise P2PError("inversion='rf_inversion' needs a model that predicts a flow; use 'direct'")
    empty = family.unconditional()
    noise = starting_noise(backwards.request.seed, family.latent_shape).to(family.device)
    strength = torch.full_like(sampler.timesteps, GAMMA)
    return replace(
        backwards,
        source=(*empty, backwards.source[-1]) if family.embeds_guidance else empty,
        pull=Pull(noise, strength, 1 - sampler.sigma[1:].flip(0)),
    )


def draw_to_image(plan: SweepPlan, image: InvertedImage) -> SweepPlan:
    """Makes the plan that starts from the inverted noise and is drawn to the image."""
    assert isinstance(plan.sampler, FlowMatchEuler)
    steps = plan.request.steps
    strength = torch.zeros_like(plan.sampler.timesteps)
    strength[: injected_steps(1.0, UNTIL, steps)] = ETA
    pull = Pull(image.trajectory[-1], strength, -plan.sampler.sigma[:-1])
    return replace(start_from_noise(plan, image), pull=pull)
