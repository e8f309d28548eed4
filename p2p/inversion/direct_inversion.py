"""Direct inversion: the source is held to the image's trajectory, and the edits are left alone (Ju et al. 2023).

The source's row at a step is the stored latents, so the reconstruction is the image's round trip through the
autoencoder. The row is needed only while something is injected, and without guidance.

For a flow the denoiser is given the latents Z + ΔZ of source and edits, where ΔZ leads from the stored latents to those
of the next step (DirectEdit, Yang & Ye 2026). The source's velocity is then that of the inversion, so its own step
would lead to the next stored latents too.
"""

from __future__ import annotations

from dataclasses import replace

from p2p.inversion.ddim_inversion import start_from_noise
from p2p.inversion.inverted_image import InvertedImage
from p2p.samplers.flow_match_euler import FlowMatchEuler
from p2p.sweep.sweep_plan import SweepPlan


def hold_source(plan: SweepPlan, image: InvertedImage) -> SweepPlan:
    """Makes the plan whose source is held to an image's trajectory."""
    is_flow = isinstance(plan.sampler, FlowMatchEuler)
    return replace(
        start_from_noise(plan, image),
        source=image.source,
        stored=image.trajectory,
        shifts=image.trajectory.diff(dim=0) if is_flow else None,
        # Edits may take the self-attention of the source's unconditional row.
        source_guided=plan.request.inject_unconditional,
    )
