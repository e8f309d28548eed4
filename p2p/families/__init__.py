"""Model families, one module each, by the name of the diffusers pipeline that holds them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from p2p.families import sd
from p2p.families.family import Family

FAMILIES: Mapping[str, Callable[[Path, torch.device, torch.dtype], Family]] = {
    "StableDiffusionPipeline": sd.load,
}
