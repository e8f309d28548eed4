"""A family of one's own: a module that Python finds, outside this package."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, cast

from p2p.errors import ModelError
from p2p.folder import one_line, pipeline_class

if TYPE_CHECKING:
    from p2p.families.family import OwnFamily

_PARTS = ("HALF", "load", "window")


def own_family(name: str, folder: Path) -> OwnFamily:
    """The module ``name`` that is to open the model in ``folder``.

    Raises:
        ModelError: no such module, or it cannot be imported, or lacks a part; or the folder is no diffusers folder.
    """
    pipeline_class(folder)
    try:
        module = importlib.import_module(name)
    # Whatever a stranger's module raises has to name the module.
    except Exception as error:
        raise ModelError(
            f"family {name!r} cannot be imported: {one_line(error)}; is its folder on PYTHONPATH?"
        ) from error
    missing = [part for part in _PARTS if not hasattr(module, part)]
    if missing:
        raise ModelError(f"family {name!r} has no {', '.join(missing)}; docs/extending.md shows a whole one")
    return cast("OwnFamily", module)
