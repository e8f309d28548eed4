"""Names that the settings give: of what comes along, or of a module of one's own."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from importlib.util import find_spec

from conf.messages import suggest_name


def problems(key: str, name: str, known: Collection[str]) -> Iterator[str]:
    """A line if ``name`` is none of ``known``, nor is there a module or package that it begins with.

    Nothing is imported: the libraries read the environment when they are, and that is not made yet.
    """
    if name in known or _is_there(name.partition(".")[0]):
        return
    hint = suggest_name(name, known) or "; is its folder on PYTHONPATH?"
    yield f"{key}={name} is none of {', '.join(known)}, and Python finds no module of that name{hint}"


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False
