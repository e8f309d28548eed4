"""DDIM inversion: source and edits start from the noise at the end of the image's trajectory.

Guidance amplifies the errors of the inversion, which has none (Mokady et al. 2022, section 3.1), so the source is only
near the image.
"""

from __future__ import annotations

from dataclasses import replace

from p2p.inversion.inverse_sampler import start_at
from p2p.inversion.inverted_image import InvertedImage
from p2p.sweep.sweep_plan import SweepPlan


def start_from_noise(plan: SweepPlan, image: InvertedImage) -> SweepPlan:
    """Makes the plan that starts from the first latents of an image's trajectory."""
    blend = plan.request.local_blend
    return replace(
        plan,
        starting=start_at(plan.sampler, image.trajectory[0]),
        background=image.trajectory if blend is not None and blend.background == "image" else None,
    )
