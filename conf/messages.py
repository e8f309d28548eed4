"""Pieces of error messages that every package shares: an error as one line, the nearest known name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def error_line(error: BaseException, limit: int | None = 300) -> str:
    """The error's message as one line of at most ``limit`` characters, or its class's name if it has no message."""
    line = " ".join(str(error).split()) or type(error).__name__
    return line if limit is None or len(line) <= limit else line[: limit - 1] + "…"


def typed_error_line(error: BaseException) -> str:
    """``error_line`` after the error's class name, for errors that a library raised."""
    name, line = type(error).__name__, error_line(error, limit=None)
    return name if line == name else f"{name}: {line}"


def suggest_name(name: str, known: Iterable[str], most: int = 1, least: float = 0.6) -> str:
    """ " (did you mean …?)" with the known names nearest to ``name``, or "" if none is near. Ignores case."""
    near = nearest_names(name, known, most, least)
    return f" (did you mean {' or '.join(near)}?)" if near else ""


def nearest_names(name: str, known: Iterable[str], most: int = 1, least: float = 0.6) -> list[str]:
    """At most ``most`` known names with a likeness to ``name`` of ``least`` or more. Ignores case."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    return [by_lower[key] for key in difflib.get_close_matches(name.lower(), by_lower, most, least)]
