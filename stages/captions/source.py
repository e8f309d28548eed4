"""What to read, and the error of what cannot be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


class CaptionsError(ValueError):
    """There is nothing to read caption pairs from: one line that names it and the mend."""


@dataclass(frozen=True)
class CaptionSource:
    """Where caption pairs come from.

    Attributes:
        kind: "jsonl", "csv", "text" (captions alone; all three plain or gzip), "parquet" (a file, a folder or a glob),
            "dataset" (a folder or hub name that `datasets.load_dataset` opens), "auto": by the file's name, or a
            module of one's own (`OwnCaptions`).
        path: the file, folder, glob or hub name, or whatever that module takes.
        split: of a dataset; needed where it has more than one.
        limit: the number of good pairs after which reading stops, None for all.
        fields: the source's own names of "input", "edit" and "output", where they are none of the known ones.
        alone: whether it holds captions alone, of which pairs are yet to be written.
    """

    kind: str
    path: str
    split: str | None = None
    limit: int | None = None
    fields: Mapping[str, str] | None = None
    alone: bool = False
