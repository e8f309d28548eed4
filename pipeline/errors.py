"""How a command ends when it does not end well."""

from __future__ import annotations

from collections.abc import Sequence

from conf.messages import error_line

UNFINISHED, USER_ERROR, FAILED_PAIRS, INTERRUPTED = 1, 2, 3, 130
"""Exit codes."""

STOPPED = "stopped; what is committed stays, the same command goes on"


MAKE_ROOM = "make room, or mend what the system says of it; what is committed stays, the same command goes on"


NOT_THE_OUTPUT = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError, BrokenPipeError)
"""OSErrors of a file that is missing, or there, where it ought not to be, and of a reader of stdout who has left;
others are the system's or the store's."""


_MISPLACED = {
    FileNotFoundError: "is not there: make it, or the folder it is to lie in, or give another path",
    FileExistsError: "is there already, as something else: remove it, or give another path",
    IsADirectoryError: "is a folder, where a file is needed: remove it, or give another path",
    NotADirectoryError: "lies below a file, where a folder is needed: give another path",
}


def misplaced(error: OSError) -> str:
    """One line for what a command meets that is not the output's: the file, and what to do about it."""
    where = error.filename2 or error.filename or error_line(error)
    reason = next((told for kind, told in _MISPLACED.items() if isinstance(error, kind)), None)
    return f"{where} {reason}" if where and reason else unwritable(error, "a file")


def unwritable(error: OSError, what: str) -> str:
    """One line for ``what`` a system or a store does not let be written or read."""
    reason = error.strerror or error_line(error)
    where = f" ({error.filename})" if error.filename else ""
    return f"{what} cannot be written or read: {reason}{where}: {MAKE_ROOM}"


class TabledError(ValueError):
    """What the user can mend: one line, and ``table`` under it, of which each row is a line of its own."""

    def __init__(self, line: str, table: Sequence[Sequence[str]] = ()) -> None:
        super().__init__(line)
        widths = [max(map(len, cells)) for cells in zip(*table, strict=True)]
        self.table = tuple(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in table
        )


class RunError(RuntimeError):
    """The run was not finished: one line that says what is missing and how to go on."""
