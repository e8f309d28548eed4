"""What to read, and the error of what cannot be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
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


def near(name: str, names: Iterable[str]) -> str:
    """ " (did you mean …?)" if one of the names is like it, otherwise ""."""
    found = difflib.get_close_matches(name, list(names), n=1)
    return f" (did you mean {found[0]}?)" if found else ""


def one_line(error: BaseException) -> str:
    """An error's message as one line of at most 300 characters."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else text[:299] + "…"
