"""Describes a source of captions and its records, lists its files, and reads the lines of text files, plain or gzip."""

from __future__ import annotations

import glob
import gzip
import io
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from conf.messages import error_line, suggest_name

MAX_LINE = 16 * 2**20
"""Bytes of a line; a longer line is cut here, so that it cannot fill the memory."""
IMAGE = "image"
"""The field with a picture of the input caption."""
LINE_ERRORS = (OSError, EOFError, zlib.error)
"""Errors of reading a damaged text file."""
_TYPES = {
    dict: "an object",
    list: "a list",
    str: "a text",
    int: "a number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}
_BOM = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"


class CaptionsError(ValueError):
    """A source of captions cannot be read: one line that names the cause and the fix."""


@dataclass(frozen=True)
class CaptionSource:
    """The place and format of caption pairs.

    Attributes:
        kind: "jsonl", "csv", "text" (captions only; all three plain or gzip), "parquet" or "webdataset" (a file, a
            folder or a glob), "dataset" (a folder or hub name that `datasets.load_dataset` opens), "auto" (by the
            file's name), or the name of a module (`OwnCaptions`).
        path: the file, folder, glob or hub name; a module may take anything else.
        split: the split of a dataset; required if it has more than one.
        limit: the number of good pairs after which reading stops; None reads all.
        fields: the source's names of "input", "edit" and "output", if they are not among the known names, and of
            "image"; an empty one leaves images alone.
        captions_only: whether the source has captions without edits, for which a writer makes the edits.
        images: the folder or bucket from which the paths of images start.
        image_side: the side of the model's images in pixels; 0 if it is not known.
        image_upscale: the largest factor by which an image may be enlarged.
    """

    kind: str
    path: str
    split: str | None = None
    limit: int | None = None
    fields: Mapping[str, str] | None = None
    captions_only: bool = False
    images: str = ""
    image_side: int = 0
    image_upscale: float = 2.0

    @property
    def image_field(self) -> str:
        """The name of the field with the image."""
        return (self.fields or {}).get("image", IMAGE)


@dataclass(frozen=True)
class ImagePart:
    """The bytes of an image that is no file, and its ``place`` (``stages.images.place``); "" if it has none yet."""

    data: bytes
    place: str = ""

    def __str__(self) -> str:
        return self.place or f"{len(self.data)} bytes"


class SourceRecord(NamedTuple):
    """One record of a source, good or bad.

    Attributes:
        file: the source's name.
        line: the first line, counted from 1; for columnar sources the number of the record.
        fields: the values by field name, or None for a bad record.
        flaw: the reason why there are no fields, otherwise "".
        raw: the bytes in the file, or None for formats without text.
    """

    file: str
    line: int
    fields: dict[str, Any] | None
    flaw: str = ""
    raw: bytes | None = None


def until_broken(
    records: Iterator[SourceRecord], file: str, errors: tuple[type[Exception], ...]
) -> Iterator[SourceRecord]:
    """Yields the records and, if reading fails with one of ``errors``, a bad record that says so.

    Raises:
        CaptionsError: reading fails before the first record.
    """
    line = 0
    try:
        for record in records:
            line = record.line
            yield record
    except errors as error:
        yield broken_record(file, line, error)


def broken_record(file: str, line: int, error: Exception) -> SourceRecord:
    """Returns the bad record for a file that cannot be read after ``line``.

    Raises:
        CaptionsError: ``line`` is 0, so nothing was read before.
    """
    if line == 0:
        raise CaptionsError(f"{file} cannot be read: {error_line(error)}; is it damaged?") from error
    return SourceRecord(file, line + 1, None, f"cannot be read from here on: {error_line(error)}", b"")


def type_name(value: object) -> str:
    """Returns the words for the JSON type of a value, or the name of its Python type."""
    return _TYPES.get(type(value), f"a {type(value).__name__}")


def undecodable(raw: bytes, error: UnicodeDecodeError, unit: str = "line") -> str:
    """Returns the flaw of a line or record that is not UTF-8."""
    return f"not UTF-8: byte {error.start + 1} of the {unit} is 0x{raw[error.start]:02X}"


def suggest_sibling(path: str) -> str:
    """Returns `suggest_name` for a missing file among the files in its folder."""
    folder = Path(path).parent
    return suggest_name(path, map(str, folder.iterdir()) if folder.is_dir() else ())


def open_lines(path: str) -> Iterator[bytes]:
    """Yields the file's lines with their ends, without a byte order mark. Decompresses gzip, which it knows by content.

    One line at a time is in memory.

    Raises:
        CaptionsError: the file is missing, cannot be opened, or is not of the format that its name says.
    """
    return _lines(_open(path))


def _open(path: str) -> io.BufferedIOBase:
    file = Path(path)
    if file.is_dir():
        raise CaptionsError(
            f"{path} is a folder: name a file in it, or read it with captions=parquet or dataset"
        )
    if not file.exists():
        raise CaptionsError(f"{path}: no such file{suggest_sibling(path)}")
    try:
        with file.open("rb") as stream:
            start = stream.read(2)
        if start == _GZIP:
            return gzip.GzipFile(file)
        if file.suffix == ".gz" and start:
            raise CaptionsError(f"{path} is not gzip: if it is plain text, rename it without .gz")
        if start in (b"\xff\xfe", b"\xfe\xff"):
            raise CaptionsError(f"{path} is UTF-16: save it as UTF-8")
        return file.open("rb")
    except OSError as error:
        raise CaptionsError(f"{path} cannot be opened: {error.strerror or error}") from error


def _lines(stream: io.BufferedIOBase) -> Iterator[bytes]:
    with stream:
        read = partial(stream.readline, MAX_LINE)
        line = read().removeprefix(_BOM)
        while line:
            yield line
            while len(line) == MAX_LINE and not line.endswith(b"\n"):
                line = read()
            line = read()


def list_files(path: str, pattern: str) -> list[Path]:
    """Lists the files of a path: the file itself, those in a folder with a name like ``pattern``, or a glob's."""
    root = Path(path)
    if root.is_dir():
        return sorted(file for file in root.rglob(pattern) if file.is_file() and not _hidden(file, root))
    found = [root] if root.exists() else [Path(match) for match in glob.glob(path, recursive=True)]
    return sorted(file for file in found if file.is_file())


def _hidden(file: Path, root: Path) -> bool:
    """Whether the name marks logs, metadata or an unfinished file, as writers of Parquet folders agree."""
    return any(part.startswith((".", "_")) for part in file.relative_to(root).parts)
