"""Reads the lines of a text file, plain or gzip, one line in memory at a time."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from conf.messages import suggest_name
from stages.captions.source import CaptionsError

MAX_LINE = 16 * 2**20
"""Bytes of a line; a longer line is cut here, so that it cannot fill the memory."""

ERRORS = (OSError, EOFError, zlib.error)
"""Errors of reading a damaged file."""

_BUFFER = 2**20
_BOM = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"


def open_lines(path: str) -> Iterator[bytes]:
    """Yields the file's lines with their ends, without a byte order mark. Decompresses gzip, which it knows by content.

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
        siblings = (str(sibling) for sibling in file.parent.iterdir()) if file.parent.is_dir() else ()
        raise CaptionsError(f"{path}: no such file{suggest_name(path, siblings)}")
    try:
        with file.open("rb") as stream:
            start = stream.read(2)
        if start == _GZIP:
            # A larger buffer would lose its content where a file breaks off.
            return gzip.GzipFile(file)
        if file.suffix == ".gz" and start:
            raise CaptionsError(f"{path} is not gzip: if it is plain text, rename it without .gz")
        if start in (b"\xff\xfe", b"\xfe\xff"):
            raise CaptionsError(f"{path} is UTF-16: save it as UTF-8")
        return io.BufferedReader(file.open("rb", buffering=0), _BUFFER)
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
