"""Describes a source of captions, and the error for one that cannot be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


class CaptionsError(ValueError):
    """A source of captions cannot be read: one line that names the cause and the fix."""


@dataclass(frozen=True)
class CaptionSource:
    """The place and format of caption pairs.

    Attributes:
        kind: "jsonl", "csv", "text" (captions only; all three plain or gzip), "parquet" (a file, a folder or a glob),
            "dataset" (a folder or hub name that `datasets.load_dataset` opens), "auto" (by the file's name), or the
            name of a module (`OwnCaptions`).
        path: the file, folder, glob or hub name; a module may take anything else.
        split: the split of a dataset; required if it has more than one.
        limit: the number of good pairs after which reading stops; None reads all.
        fields: the source's names of "input", "edit" and "output", if they are not among the known names.
        captions_only: whether the source has captions without edits, for which a writer makes the edits.
    """

    kind: str
    path: str
    split: str | None = None
    limit: int | None = None
    fields: Mapping[str, str] | None = None
    captions_only: bool = False
