"""Errors that are no fault of what the user wrote."""

from __future__ import annotations


class RunError(RuntimeError):
    """The run was not finished: one line that says what is missing and how to go on."""
