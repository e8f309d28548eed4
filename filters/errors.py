"""The error that this package raises for bad input, and the conversion of library errors to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from conf.messages import error_line


class FilterError(ValueError):
    """A model that cannot be loaded, or input that cannot be scored: one line that names it and the fix."""


@contextmanager
def library_errors(message: str) -> Iterator[None]:
    """Raises any error of a library as a FilterError of one line that begins with ``message``."""
    try:
        yield
    except FilterError:
        raise
    except Exception as error:
        raise FilterError(f"{message}: {error_line(error)}") from error
