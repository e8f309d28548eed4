"""Choice of a model's family: the built-in module of its diffusers pipeline class, or a plugin module."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from p2p.errors import ModelError
from p2p.models.model_folder import local_folder, pipeline_class
from p2p.plugins import load_plugin, source_digest
from p2p.text.token_windows import clip_window, t5_window

if TYPE_CHECKING:
    from types import ModuleType

    from p2p.families.family import FamilyModule, FamilyPlugin
    from p2p.text.token_windows import PromptWindow

# Modules are imported when a model needs them, because a diffusers pipeline takes most of a second to import.
_MODULES = {
    "StableDiffusionPipeline": "sd",
    "LatentConsistencyModelPipeline": "sd",
    "StableDiffusionXLPipeline": "sdxl",
    "StableDiffusion3Pipeline": "sd3",
    "FluxPipeline": "flux",
}
_WINDOWS: Mapping[str, Callable[..., PromptWindow]] = {
    **dict.fromkeys(_MODULES, clip_window),
    "FluxPipeline": t5_window,
}


def find_family(folder: Path, plugin: str | None) -> FamilyModule:
    """Finds the module that loads the model in ``folder``: the plugin of that name, or with None the built-in family.

    Raises:
        ModelError: the folder is no diffusers folder, its family is not supported, or the plugin cannot be imported or
            lacks a part.
    """
    name = pipeline_class(folder)
    if plugin is not None:
        return cast("FamilyPlugin", _load(plugin))
    return cast("FamilyModule", importlib.import_module(f"p2p.families.{_MODULES[_supported(name, folder)]}"))


def family_name(model: str | Path, revision: str | None) -> str:
    """Names the built-in family of a model: sd, sdxl, sd3 or flux. Raises ModelError as ``find_family``."""
    folder = local_folder(model, revision, whole=False)
    return _MODULES[_supported(pipeline_class(folder), folder)]


def find_window(folder: Path, plugin: str | None) -> Callable[..., PromptWindow]:
    """Finds the function that loads the smallest window of the model in ``folder``, which needs no weights.

    That of FLUX has an argument ``limit``, the tokens of T5's window.

    Raises:
        ModelError: as ``find_family``.
    """
    name = pipeline_class(folder)
    if plugin is not None:
        return cast("FamilyPlugin", _load(plugin)).window
    return _WINDOWS[_supported(name, folder)]


def family_digest(name: str) -> str:
    """Hashes (hex SHA-256) the source of a family plugin. Raises ModelError if it is absent or lacks a part."""
    return source_digest(_load(name))


def _load(name: str) -> ModuleType:
    return load_plugin("family", name, ("HALF", "load", "window"), ModelError)


def _supported(name: str, folder: Path) -> str:
    if name not in _MODULES:
        raise ModelError(
            f"{folder}: {name} is not supported; {', '.join(_MODULES)} are, "
            "and family= takes a module of your own (docs/extending.md)"
        )
    return name
