"""A stage by the dotted name of its class, as the setting ``stage`` gives it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conf.pairs import PairsConfig
    from conf.schema import Config
    from stages.records import Unit, UnitResult


def make(name: str, config: Config | PairsConfig, model_fingerprint: str) -> Callable[[Unit], UnitResult]:
    """The stage, set up for units.

    Raises ImportError and AttributeError for a name that is none, and what the class does.
    """
    module, _, own = name.rpartition(".")
    stage: Callable[[Unit], UnitResult] = getattr(importlib.import_module(module), own)(
        config, model_fingerprint
    )
    return stage
