"""Model families, one module each, by the name of the diffusers pipeline that holds them."""

from __future__ import annotations

from collections.abc import Mapping

from p2p.families import flux, sd, sd3, sdxl
from p2p.families.family import FamilyModule

FAMILIES: Mapping[str, FamilyModule] = {
    "StableDiffusionPipeline": sd,
    "LatentConsistencyModelPipeline": sd,
    "StableDiffusionXLPipeline": sdxl,
    "StableDiffusion3Pipeline": sd3,
    "FluxPipeline": flux,
}
