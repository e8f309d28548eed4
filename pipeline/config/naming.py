"""Names that the settings give: of what comes along, or of a module of one's own."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator
from importlib.util import find_spec


def problems(key: str, name: str, known: Collection[str]) -> Iterator[str]:
    """A line if ``name`` is none of ``known``, nor is there a module or package that it begins with.

    Nothing is imported: the libraries read the environment when they are, and that is not made yet.
    """
    if name in known or _is_there(name.partition(".")[0]):
        return
    near = difflib.get_close_matches(name, list(known), n=1)
    mend = f"did you mean {near[0]}?" if near else "is its folder on PYTHONPATH?"
    yield f"{key}={name} is none of {', '.join(known)}, and Python finds no module of that name; {mend}"


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False
