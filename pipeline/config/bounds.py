"""Settings that have to be so much at least."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def problems(settings: Iterable[tuple[str, float | None, int]]) -> Iterator[str]:
    """A line for each setting below its least: its name, its value (None is none to look at) and the least."""
    for key, value, least in settings:
        if value is not None and value < least:
            yield f"{key}={value} must be {least} or more"
