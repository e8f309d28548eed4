"""Commits and parts of units in the output.

A unit is done when its commit exists. The commit names the part: the files of the attempt that was committed first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from stages.storage.store import Store, unseal

COMMITS = "run/commits"
PARTS = "run/parts"


def commit_name(unit: int) -> str:
    """Returns the name of the commit of unit number ``unit``."""
    return f"{COMMITS}/{unit:08d}.json"


def committed_units(store: Store) -> set[int]:
    """Returns the indices of the committed units."""
    names = (name.rsplit("/", 1)[-1] for name in store.list(COMMITS))
    return {int(name.removesuffix(".json")) for name in names if name.endswith(".json")}


def read_commit(store: Store, unit: int) -> dict[str, Any]:
    """Reads one commit. Raises as ``read_commits``."""
    return store.read_record(commit_name(unit))


def read_commits(store: Store, units: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Reads the commits of ``units``, in their order.

    Raises FileNotFoundError for a unit that is not committed, DamageError for a commit whose checksum differs.
    """
    names = [commit_name(unit) for unit in units]
    for name, data in zip(names, store.read_many(names), strict=True):
        yield unseal(data, store.path(name))


def read_part(store: Store, commit: dict[str, Any], kind: str) -> bytes | None:
    """Reads the part's file of that kind and checks its SHA-256. Returns None if the unit has no such file.

    Raises DamageError if the file is missing or differs from what was committed.
    """
    file = commit["part"].get(kind)
    if file is None:
        return None
    owner = f" of unit {commit['unit']}"
    return store.read_checked(file["name"], file["sha256"], owner, fix="makes the unit again")


def parts_deleted(store: Store, commits: Sequence[dict[str, Any]]) -> bool:
    """Tells whether all parts that the commits name were deleted, as is allowed after packing."""
    named = next((file["name"] for commit in commits for file in commit["part"].values()), None)
    # If the first part exists, the others need not be listed.
    return named is not None and not store.exists(named) and not store.list(PARTS)
