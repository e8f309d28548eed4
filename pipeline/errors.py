"""How a command ends when it does not end well."""

from __future__ import annotations

UNFINISHED, USER_ERROR, FAILED_PAIRS, INTERRUPTED = 1, 2, 3, 130
"""Exit codes."""

STOPPED = "stopped; what is committed stays, the same command goes on"


class RunError(RuntimeError):
    """The run was not finished: one line that says what is missing and how to go on."""
