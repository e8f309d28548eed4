"""A family of one's own: a module that Python finds, outside this package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from p2p.errors import ModelError
from p2p.models.model_folder import pipeline_class
from p2p.plugins import own_module, source_digest

if TYPE_CHECKING:
    from types import ModuleType

    from p2p.families.family import OwnFamily


def own_family(name: str, folder: Path) -> OwnFamily:
    """The module ``name`` that is to open the model in ``folder``.

    Raises:
        ModelError: no such module, or it cannot be imported, or lacks a part; or the folder is no diffusers folder.
    """
    pipeline_class(folder)
    return cast("OwnFamily", _module(name))


def family_digest(name: str) -> str:
    """Hex SHA-256 of the module's source. Raises ModelError, as ``own_family`` does."""
    return source_digest(_module(name))


def _module(name: str) -> ModuleType:
    return own_module("family", name, ("HALF", "load", "window"), ModelError)
