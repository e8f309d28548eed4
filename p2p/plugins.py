"""Plugin modules: a sampler, family, measure or caption source of the user's, found on PYTHONPATH."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Collection, Sequence
from pathlib import Path
from types import ModuleType

from conf.messages import error_line, suggest_name


def load_plugin(
    what: str, name: str, parts: Sequence[str], error: type[ValueError], known: Collection[str] = ()
) -> ModuleType:
    """Imports the module ``name``, which must have ``parts``.

    Args:
        what: the setting that names the module, for messages.
        name: the module.
        parts: attributes that the module must have.
        error: the class of the error to raise.
        known: names of the built-in choices, for messages.

    Raises:
        error: there is no such module, it cannot be imported, or it lacks a part.
    """
    try:
        module = importlib.import_module(name)
    # A plugin may raise any error while it is imported.
    except Exception as problem:
        if known and _is_absent(problem, name):
            raise error(
                f"{what} {name!r} is unknown; there are {', '.join(known)}, or a module on PYTHONPATH"
                f"{suggest_name(name, known)}"
            ) from problem
        raise error(
            f"{what} {name!r} cannot be imported: {error_line(problem)}; is its folder on PYTHONPATH?"
        ) from problem
    missing = [part for part in parts if not hasattr(module, part)]
    if missing:
        others = f" and is none of {', '.join(known)}" if known else ""
        raise error(
            f"{what} {name!r} has no {', '.join(missing)}{others}; docs/extending.md shows an example"
            f"{suggest_name(name, known)}"
        )
    return module


def source_digest(module: ModuleType) -> str:
    """Computes the hex SHA-256 of the module's file; for a package, of the names and bytes of its Python files.

    Other modules that it imports do not count.
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
    """True if the module itself, or a package that contains it, was not found."""
    absent = problem.name if isinstance(problem, ModuleNotFoundError) else None
    return absent is not None and f"{name}.".startswith(f"{absent}.")
