"""Options of Hydra's command line for a run, ``pairforge pairs`` and ``pairforge plan``. Hydra is not imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class HydraOptions:
    """Options of a command line that stand beside its settings.

    - ``config_dir``: a folder with further options of groups and further primary configurations.
    - ``config_name``: the primary configuration, instead of ``config`` or ``pairs``.
    - ``cfg``, ``package``, ``resolve``, ``info``: what to print instead of running.
    - ``multirun``: makes a run of each combination of the values given.
    - ``saved``: values of an earlier run (``config=FILE``), which take the place of the defaults.
    """

    config_dir: str | None = None
    config_name: str | None = None
    cfg: str | None = None
    package: str | None = None
    resolve: bool = False
    info: str | None = None
    multirun: bool = False
    saved: Mapping[str, Any] | None = None


NO_OPTIONS = HydraOptions()
