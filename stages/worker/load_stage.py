"""A stage by the dotted name of its class, as the setting ``stage`` gives it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from conf.either import Settings

if TYPE_CHECKING:
    from stages.records import Unit, UnitResult


def find(name: str) -> Any:
    """The stage's class. Raises ImportError and AttributeError for a name that is none."""
    module, _, own = name.rpartition(".")
    return getattr(importlib.import_module(module), own)


def make(name: str, config: Settings, model_fingerprint: str) -> Callable[[Unit], UnitResult]:
    """The stage, set up for units.

    Raises ImportError and AttributeError for a name that is none, and what the class does.
    """
    stage: Callable[[Unit], UnitResult] = find(name)(config, model_fingerprint)
    return stage
