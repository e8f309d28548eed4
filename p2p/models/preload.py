"""What opening a model imports, imported ahead of it."""

from __future__ import annotations

from pathlib import Path

import p2p.models.loading  # noqa: F401
from p2p.families import FAMILIES
from p2p.families.family_plugin import own_family
from p2p.models.model_folder import family_name, local_folder


def prepare(model: str | Path, revision: str | None = None, family: str | None = None) -> None:
    """Import the libraries that ``p2p.load`` of the same arguments needs: most of the time that it takes.

    Raises:
        ModelError: there is no such model, or its family is not supported or cannot be imported.
    """
    folder = local_folder(model, revision, whole=False)
    own_family(family, folder) if family else FAMILIES[family_name(folder)]
