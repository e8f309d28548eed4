"""Negative-prompt inversion: the source's caption takes the place of the unconditional prompt (Miyake et al. 2023).

Both rows of the source are then equal and guidance does not change it, as if null-text inversion had found the caption.
"""

from __future__ import annotations

from dataclasses import replace

from p2p.inversion.ddim_inversion import start_from_noise
from p2p.inversion.inverted_image import InvertedImage
from p2p.sweep.sweep_plan import SweepPlan


def use_source_caption(plan: SweepPlan, image: InvertedImage) -> SweepPlan:
    """Makes the plan with the source's caption in unconditional rows, from an image's trajectory."""
    return replace(
        start_from_noise(plan, image),
        unconditional=(plan.source,) * plan.request.steps,
        source_guided=plan.request.inject_unconditional,
    )
