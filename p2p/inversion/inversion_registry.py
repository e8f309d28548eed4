"""Choice of an inversion by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from p2p.inversion.ddim_inversion import start_from_noise
from p2p.inversion.direct_inversion import hold_source
from p2p.inversion.negative_prompt_inversion import use_source_caption
from p2p.sweep.sweep_plan import SweepPlan

Method = Callable[[SweepPlan, Tensor], SweepPlan]
"""Makes a plan that starts from an inverted image, of the plan of a request and the image's trajectory.

The trajectory (T + 1, C, h, w) fp32 has the latents before each step of the plan's sampler and, last, the image's."""

METHODS: Mapping[str, Method] = {
    "direct": hold_source,
    "ddim": start_from_noise,
    "negative_prompt": use_source_caption,
}
