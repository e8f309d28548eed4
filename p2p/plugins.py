"""A part of one's own: a module that Python finds, in place of what comes along."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Collection, Sequence
from pathlib import Path
from types import ModuleType

from conf.messages import error_line, suggest_name


def own_module(
    what: str, name: str, parts: Sequence[str], error: type[ValueError], known: Collection[str] = ()
) -> ModuleType:
    """The module ``name``, which has ``parts``; ``known`` are the names of what comes along.

    Raises:
        error: there is no such module, it cannot be imported, or it lacks a part. The line names it as ``what``.
    """
    try:
        module = importlib.import_module(name)
    # Whatever a stranger's module raises has to name the module.
    except Exception as problem:
        reason = error_line(problem)
        if known and _is_absent(problem, name):
            raise error(
                f"{what} {name!r} is unknown; there are {', '.join(known)}, or a module of one's own on "
                f"PYTHONPATH{suggest_name(name, known)}"
            ) from problem
        raise error(
            f"{what} {name!r} cannot be imported: {reason}; is its folder on PYTHONPATH?"
        ) from problem
    missing = [part for part in parts if not hasattr(module, part)]
    if missing:
        others = f" and is none of {', '.join(known)}" if known else ""
        raise error(
            f"{what} {name!r} has no {', '.join(missing)}{others}; docs/extending.md shows a whole one"
            f"{suggest_name(name, known)}"
        )
    return module


def source_digest(module: ModuleType) -> str:
    """Hex SHA-256 of the module's file, of a package of the names and bytes of all its Python files.

    What it imports from elsewhere does not count.
    """
    file = Path(str(module.__file__))
    if file.name != "__init__.py":
        return hashlib.sha256(file.read_bytes()).hexdigest()
    digest = hashlib.sha256()
    for path in sorted(file.parent.rglob("*.py")):
        digest.update(f"{path.relative_to(file.parent).as_posix()}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _is_absent(problem: Exception, name: str) -> bool:
    """Whether it was the module itself that was not found, or a package that it would be in."""
    absent = problem.name if isinstance(problem, ModuleNotFoundError) else None
    return absent is not None and f"{name}.".startswith(f"{absent}.")
