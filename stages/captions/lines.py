"""The lines of a text file, plain or gzip, without ever holding more than one."""

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
"""Bytes of a line. A longer one is cut there: nobody's caption, and memory is not the file's to fill."""

ERRORS = (OSError, EOFError, zlib.error)
"""What reading may break off with."""

_BUFFER = 2**20
_BOM = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"


def open_lines(path: str) -> Iterator[bytes]:
    """The file's lines with their ends, without the byte order mark; decompressed if it is gzip, by its content.

    Raises:
        CaptionsError: there is no such file, it cannot be opened, or is not what its name says.
    """
    return _lines(_opened(path))


def open_pieces(path: str, size: int) -> Iterator[bytes]:
    """``open_lines`` of so many lines at once as some `size` bytes hold, or of one that is longer.

    Of a line longer than `MAX_LINE` something may be missing, but it stays as long as that.

    Raises:
        CaptionsError: as `open_lines` does.
    """
    return _pieces(_opened(path), size)


def _opened(path: str) -> io.BufferedIOBase:
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
            # Read without a larger buffer on top: that would lose, where a file breaks off, what it held.
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


def _pieces(stream: io.BufferedIOBase, size: int) -> Iterator[bytes]:
    begun, length, mark = list[bytes](), 0, _BOM
    with stream:
        # Not read(): where a file breaks off, that would lose what it had until then.
        while read := stream.read1(size):
            end = read.rfind(b"\n") + 1
            if end:
                yield b"".join([*begun, read[:end]]).removeprefix(mark)
                begun, length, mark = [], 0, b""
            if length < MAX_LINE:
                begun.append(read[end:])
                length += len(read) - end
        last = b"".join(begun).removeprefix(mark)
        if last:
            yield last
