"""Exit codes, and the errors that a command reports in one line."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

from conf.messages import error_line

UNFINISHED, USER_ERROR, FAILED_PAIRS, INTERRUPTED = 1, 2, 3, 130
"""Exit codes."""

STOPPED = "stopped; what is committed stays, the same command goes on"


MAKE_ROOM = "make room, or fix the reason given; what is committed stays, the same command goes on"


NOT_THE_OUTPUT = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError, BrokenPipeError)
"""OSErrors of a wrong path, and of a closed stdout. Other OSErrors are faults of the system or the store."""


_MISPLACED = {
    FileNotFoundError: "does not exist: make it, or the folder for it, or give another path",
    FileExistsError: "exists already as something else: remove it, or give another path",
    IsADirectoryError: "is a folder, where a file is needed: remove it, or give another path",
    NotADirectoryError: "lies below a file, where a folder is needed: give another path",
}


def misplaced(error: OSError) -> str:
    """One line for an OSError of a path outside the output: the path, and how to fix it."""
    where = error.filename2 or error.filename or error_line(error)
    reason = next((text for kind, text in _MISPLACED.items() if isinstance(error, kind)), None)
    return f"{where} {reason}" if where and reason else unwritable(error, "a file")


def unwritable(error: OSError, what: str) -> str:
    """One line for ``what`` the system or the store does not let us write or read."""
    reason = error.strerror or error_line(error)
    where = f" ({error.filename})" if error.filename else ""
    return f"{what} cannot be written or read: {reason}{where}: {MAKE_ROOM}"


STORE_LIBRARIES = frozenset({"botocore", "aiobotocore", "gcsfs", "google", "adlfs", "azure"})


def store_refusal(error: Exception) -> tuple[str, int] | None:
    """One line and the exit code for an error that the library of an object store raised; None for other errors."""
    if type(error).__module__.partition(".")[0] not in STORE_LIBRARIES:
        return None
    if any(base.__name__ == "ConnectionError" for base in type(error).__mro__):
        return f"the object store does not answer: {error_line(error)}: {STOPPED}", UNFINISHED
    return (
        f"the object store cannot be used: {error_line(error)}: its library takes credentials, region and address "
        "from the environment (AWS_…, GOOGLE_…, AZURE_…), its own files or the role of the machine"
    ), USER_ERROR


class TabledError(ValueError):
    """An error that the user can fix: one line, with the lines of ``table`` below it."""

    def __init__(self, line: str, table: Sequence[Sequence[str]] = ()) -> None:
        super().__init__(line)
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        self.table = tuple(
            "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
            for cells in table
        )


class FailedPairsError(ValueError):
    """Every caption pair failed: one line with the reason and the fix."""


class RunError(RuntimeError):
    """The run did not finish: one line that says what is missing and how to resume."""


PACKAGES = frozenset({"pipeline", "stages", "editor", "p2p", "filters", "miniworld", "conf"})
LONGEST = 2000
"""Characters of an error."""


def reported(command: Callable[[], int]) -> int:
    """Run a command and return its exit code.

    An error that the user can fix is one line on stderr, with a table below it where several settings differ.
    """
    try:
        return command()
    except ValueError as error:
        # ValueErrors of this project are written for the user. One of a library is a bug of ours.
        if type(error).__module__.partition(".")[0] not in PACKAGES:
            return _print_library_error(error)
        table = error.table if isinstance(error, TabledError) else ()
        return print_error(error_line(error, LONGEST), USER_ERROR, table)
    except BrokenPipeError:
        # The reader of stdout has closed it, as ``head`` does. Python would complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNFINISHED
    except OSError as error:
        return print_error(misplaced(error), USER_ERROR)
    except RunError as error:
        return print_error(error_line(error, LONGEST), UNFINISHED)
    except KeyboardInterrupt:
        return print_error(STOPPED, INTERRUPTED)
    except Exception as error:
        return _print_library_error(error)


def _print_library_error(error: Exception) -> int:
    """Report an error of an object store. Raises ``error`` again if it is any other, which is a bug."""
    refusal = store_refusal(error)
    if refusal is None:
        raise error
    return print_error(*refusal)


def print_error(message: str, exit_code: int, table: Sequence[str] = ()) -> int:
    """Print an error and the lines of its table on stderr, and return the exit code."""
    print(f"pairforge: {message}", *(f"  {line}" for line in table), sep="\n", file=sys.stderr)
    return exit_code
