"""Family module of a model: the built-in one of its pipeline class, or a plugin."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from p2p.errors import ModelError
from p2p.families import FAMILIES, PROMPTS
from p2p.models.model_folder import pipeline_class
from p2p.plugins import load_plugin, source_digest

if TYPE_CHECKING:
    from types import ModuleType

    from p2p.families.family import FamilyModule, FamilyPlugin
    from p2p.text.token_windows import PromptWindow


def find_family(folder: Path, plugin: str | None) -> FamilyModule:
    """The module that loads the model in ``folder``: the plugin of that name, or with None the built-in family.

    Raises:
        ModelError: the folder is no diffusers folder, its family is not supported, or the plugin cannot be imported or
            lacks a part.
    """
    name = pipeline_class(folder)
    if plugin is not None:
        return cast("FamilyPlugin", _load(plugin))
    return FAMILIES[_supported(name, folder)]


def find_window(folder: Path, plugin: str | None) -> Callable[[Path], PromptWindow]:
    """The function that loads the prompt window of the model in ``folder``. Raises ModelError as ``find_family``."""
    name = pipeline_class(folder)
    if plugin is not None:
        return cast("FamilyPlugin", _load(plugin)).window
    return PROMPTS[_supported(name, folder)]


def family_digest(name: str) -> str:
    """Hex SHA-256 of a family plugin's source. Raises ModelError if it cannot be imported or lacks a part."""
    return source_digest(_load(name))


def _load(name: str) -> ModuleType:
    return load_plugin("family", name, ("HALF", "load", "window"), ModelError)


def _supported(name: str, folder: Path) -> str:
    if name not in FAMILIES:
        raise ModelError(
            f"{folder}: {name} is not supported; {', '.join(FAMILIES)} are, "
            "and family= takes a module of your own (docs/extending.md)"
        )
    return name
