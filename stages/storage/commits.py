"""Commits and parts of units in the output.

A unit is done when its commit exists. The commit names the part: the files of the attempt that was committed first.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

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


class Commits:
    """The commits of ``units``, in their order, for several readings: none of them stays in memory.

    The first complete reading keeps the records in a temporary file, from which the others read. Iterating raises as
    ``read_commits``.
    """

    def __init__(self, store: Store, units: Sequence[int]) -> None:
        self._store, self._units = store, units
        self._folder = tempfile.TemporaryDirectory(prefix="pairforge-")
        self._copy: Path | None = None

    def __len__(self) -> int:
        return len(self._units)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        if self._copy is not None:
            with self._copy.open("rb") as lines:
                yield from map(orjson.loads, lines)
            return
        copy = Path(self._folder.name) / uuid.uuid4().hex
        with copy.open("wb") as lines:
            for commit in read_commits(self._store, self._units):
                lines.write(orjson.dumps(commit) + b"\n")
                yield commit
        self._copy = self._copy or copy


def read_part(store: Store, commit: dict[str, Any], kind: str) -> bytes | None:
    """Reads the part's file of that kind and checks its SHA-256. Returns None if the unit has no such file.

    Raises DamageError if the file is missing or differs from what was committed.
    """
    file = commit["part"].get(kind)
    if file is None:
        return None
    owner = f" of unit {commit['unit']}"
    return store.read_checked(file["name"], file["sha256"], owner, fix="makes the unit again")


def parts_deleted(store: Store, commits: Iterable[dict[str, Any]]) -> bool:
    """Tells whether all parts that the commits name were deleted, as is allowed after packing."""
    named = next((file["name"] for commit in commits for file in commit["part"].values()), None)
    # If the first part exists, the others need not be listed.
    return named is not None and not store.exists(named) and not store.list(PARTS)
