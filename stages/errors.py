"""Errors that end a stage."""

from __future__ import annotations


class StageError(ValueError):
    """A stage cannot be set up, or cannot go on: one line. Every other unit would fail in the same way."""


class MachineError(RuntimeError):
    """The machine is at fault (a GPU, its memory, a file system), not the unit: one line. Another worker makes it."""
