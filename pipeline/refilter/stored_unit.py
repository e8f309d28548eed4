"""What a committed unit holds, read back: its candidates with their scores, and the images that were stored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from stages.candidates.selection import sample_key
from stages.formats import previews, score_table, tar
from stages.records import Candidate, Preview, Unit
from stages.storage.commits import read_commit, read_part
from stages.storage.plan_files import read_unit
from stages.storage.store import Store

Encoded = tuple[bytes, bytes]
"""Input and edited image, as files."""


@dataclass(frozen=True)
class Held:
    """``candidates`` in the order in which they were chosen from; ``images`` by their places, where they are stored."""

    unit: Unit
    commit: dict[str, Any]
    candidates: tuple[Candidate, ...]
    images: dict[int, Encoded]
    previews: tuple[Preview, ...]


def read(store: Store, index: int) -> Held:
    """The committed unit of that index.

    Raises FileNotFoundError for one that is not committed, DamageError and PartError for what is not what was written.
    """
    commit = read_commit(store, index)
    kept, rejected, table, shown = (
        read_part(store, commit, kind) for kind in ("samples", "rejected", "scores", "previews")
    )
    candidates = tuple(score_table.candidates(score_table.from_bytes(table))) if table else ()
    own: dict[str, list[int]] = defaultdict(list)
    for place, candidate in enumerate(candidates):
        own[sample_key(candidate)].append(place)
    images = {}
    for key, files in _samples(kept):
        place = next(place for place in own[key] if candidates[place].kept)
        images[place] = (files["input_image"], files["edited_image"])
    for key, files in _samples(rejected):
        for name, image in files.items():
            if name != "input_image":
                images[own[key][int(name.partition(".")[2])]] = (files["input_image"], image)
    return Held(
        unit=read_unit(store, index),
        commit=commit,
        candidates=candidates,
        images=images,
        previews=tuple(previews.from_bytes(shown)) if shown else (),
    )


def _samples(data: bytes | None) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Each key with its files by their names between the key and the extension."""
    for key, files in tar.read_samples(data) if data else ():
        yield key, {name.rpartition(".")[0]: content for name, content in files.items()}
