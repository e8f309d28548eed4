"""How a command ends when it does not end well."""

from __future__ import annotations

UNFINISHED, USER_ERROR, FAILED_PAIRS, INTERRUPTED = 1, 2, 3, 130
"""Exit codes."""

STOPPED = "stopped; what is committed stays, the same command goes on"


MAKE_ROOM = "make room, or mend what the system says of it; what is committed stays, the same command goes on"


FAULTS_OF_OURS = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError)
"""OSErrors of a file that is missing, or there, where it ought not to be; others are the system's or the store's."""


def unwritable(error: OSError, out: str) -> str:
    """One line for an output that cannot be written or read."""
    reason = error.strerror or " ".join(str(error).split()) or type(error).__name__
    where = f" ({error.filename})" if error.filename else ""
    return f"the output {out} cannot be written: {reason}{where}: {MAKE_ROOM}"


class RunError(RuntimeError):
    """The run was not finished: one line that says what is missing and how to go on."""
