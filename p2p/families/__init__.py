"""Model families, one module each, by the name of their diffusers pipeline class."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from p2p.text.token_windows import PromptWindow, clip_window, t5_window

if TYPE_CHECKING:
    from p2p.families.family import FamilyModule

_MODULES = {
    "StableDiffusionPipeline": "sd",
    "LatentConsistencyModelPipeline": "sd",
    "StableDiffusionXLPipeline": "sdxl",
    "StableDiffusion3Pipeline": "sd3",
    "FluxPipeline": "flux",
}

# Loads the smallest window of a family that prompts must fit into, from a folder that may lack weights.
PROMPTS: Mapping[str, Callable[[Path], PromptWindow]] = {
    **dict.fromkeys(_MODULES, clip_window),
    "FluxPipeline": t5_window,
}


class _Families(Mapping[str, "FamilyModule"]):
    """Imports a family when it is looked up, because its diffusers pipeline takes most of a second to import."""

    def __getitem__(self, name: str) -> FamilyModule:
        return cast("FamilyModule", importlib.import_module(f"p2p.families.{_MODULES[name]}"))

    def __contains__(self, name: object) -> bool:
        return name in _MODULES

    def __iter__(self) -> Iterator[str]:
        return iter(_MODULES)

    def __len__(self) -> int:
        return len(_MODULES)


FAMILIES: Mapping[str, FamilyModule] = _Families()
