"""Choice of an inversion by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from p2p.families.family import Family
from p2p.inversion.ddim_inversion import start_from_noise
from p2p.inversion.direct_inversion import hold_source
from p2p.inversion.inverted_image import InvertedImage
from p2p.inversion.negative_prompt_inversion import use_source_caption
from p2p.inversion.null_text_inversion import optimise_unconditional
from p2p.inversion.rf_inversion import draw_to_image, draw_to_noise
from p2p.sweep.sweep_plan import SweepPlan

Method = Callable[[SweepPlan, InvertedImage], SweepPlan]
"""Makes the plan that starts from an inverted image, of the plan of a request."""

METHODS: Mapping[str, Method] = {
    "direct": hold_source,
    "ddim": start_from_noise,
    "negative_prompt": use_source_caption,
    "null_text": optimise_unconditional,
    "rf_inversion": draw_to_image,
}
BACKWARDS: Mapping[str, Callable[[SweepPlan, Family], SweepPlan]] = {"rf_inversion": draw_to_noise}
"""Changes of the plan of the inversion itself, which then serves this method and seed alone."""
