"""What ends a stage."""

from __future__ import annotations


class StageError(ValueError):
    """The stage cannot be set up, or no more: one line, which no other unit would escape."""
