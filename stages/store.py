"""A run's output folder, local or on an object store: whole files, written once, and one exclusive creation."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, cast

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from stages import locked

AT_ONCE = 256
# The file systems' own names: local, S3, Google, Azure, memory.
TIMES = ("mtime", "LastModified", "updated", "last_modified", "created")


class StoreError(ValueError):
    """The output cannot be used: one line that names it and the mend."""


class Store:
    """Files under ``url`` (a folder, or anything fsspec opens: ``s3://``, ``gs://``, ``memory://``).

    Names are relative, with ``/``. A name that starts with a dot is a file being written: nothing reads it, and
    what a killed writer leaves behind is harmless.
    """

    def __init__(self, url: str) -> None:
        """Raises StoreError if no file system serves ``url`` or a local ``url`` is not a folder."""
        self.url = url
        try:
            self._fs, root = url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise StoreError(f"out={url}: {' '.join(str(error).split())}") from error
        self._root = root.rstrip("/")
        self._local = isinstance(self._fs, LocalFileSystem)
        if self._local and os.path.exists(self._root) and not os.path.isdir(self._root):
            raise StoreError(f"out={url} is a file: give a folder")

    def path(self, name: str) -> str:
        """The full path of ``name`` in its file system."""
        return f"{self._root}/{name}"

    def exists(self, name: str) -> bool:
        return bool(self._fs.exists(self.path(name)))

    def size(self, name: str) -> int:
        return int(self._fs.size(self.path(name)))

    def read(self, name: str) -> bytes:
        """Raises FileNotFoundError."""
        return bytes(self._fs.cat_file(self.path(name)))

    def open_read(self, name: str) -> IO[bytes]:
        """A stream out of ``name``, for what is larger than the memory. Raises FileNotFoundError."""
        return cast(IO[bytes], self._fs.open(self.path(name), "rb"))

    def read_many(self, names: Sequence[str]) -> Iterator[bytes]:
        """The files in the order of ``names``; an object store is asked for many at once. Raises FileNotFoundError."""
        for first in range(0, len(names), AT_ONCE):
            paths = [self.path(name) for name in names[first : first + AT_ONCE]]
            contents = self._fs.cat(paths)
            yield from (contents[path] for path in paths)

    def list(self, folder: str) -> list[str]:
        """The names of the files in ``folder``, sorted, without those being written; empty if it is absent."""
        self._fs.invalidate_cache()
        try:
            entries = self._fs.ls(self.path(folder), detail=False)
        except FileNotFoundError:
            return []
        names = sorted(str(entry).rstrip("/").rsplit("/", 1)[-1] for entry in entries)
        return [f"{folder}/{name}" for name in names if not name.startswith(".")]

    def times(self, folder: str) -> dict[str, float]:
        """When each file in ``folder`` was written, in seconds since 1970, for those whose file system tells."""
        self._fs.invalidate_cache()
        try:
            entries = self._fs.ls(self.path(folder), detail=True)
        except FileNotFoundError:
            return {}
        told = (
            (entry["name"], next((entry[key] for key in TIMES if entry.get(key)), None)) for entry in entries
        )
        return {f"{folder}/{str(name).rsplit('/', 1)[-1]}": _seconds(when) for name, when in told if when}

    @contextlib.contextmanager
    def open_write(self, name: str) -> Iterator[IO[bytes]]:
        """A stream into ``name``, which appears, whole, when the block is left without an exception."""
        if self._local:
            with self._scratch(name) as (scratch, stream):
                yield stream
                _flush(stream)
                os.replace(scratch, self.path(name))
            return
        stream = self._fs.open(self.path(name), "wb")
        try:
            yield stream
        except BaseException:
            stream.discard()
            raise
        stream.close()

    def write(self, name: str, data: bytes) -> None:
        """Write a whole file; an existing one is replaced."""
        with self.open_write(name) as stream:
            stream.write(data)

    def create_exclusive(self, name: str, data: bytes) -> bool:
        """Create ``name`` whole, unless it exists. True for the one caller that made it.

        Local files are linked into place; object stores put on condition that the key is absent (fsspec's
        ``mode="create"``).
        """
        try:
            if self._local:
                with self._scratch(name) as (scratch, stream):
                    stream.write(data)
                    _flush(stream)
                    os.link(scratch, self.path(name))
            else:
                self._fs.pipe_file(self.path(name), data, mode="create")
        except FileExistsError:
            return False
        return True

    def remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(self.path(name))

    def sweep_scratch(self, folder: str) -> None:
        """Remove what killed writers left in ``folder``; what another one is writing stays."""
        if self._local:
            for scratch in Path(self.path(folder)).glob(".*.tmp"):
                locked.sweep(scratch)

    @contextlib.contextmanager
    def _scratch(self, name: str) -> Iterator[tuple[Path, IO[bytes]]]:
        final = Path(self.path(name))
        final.parent.mkdir(parents=True, exist_ok=True)
        held = False
        while not held:
            scratch = final.with_name(f".{final.name}.{uuid.uuid4().hex}.tmp")
            with scratch.open("xb") as stream:
                held = locked.hold(stream, scratch)
                if held:
                    try:
                        yield scratch, stream
                    finally:
                        scratch.unlink(missing_ok=True)


def _flush(stream: IO[bytes]) -> None:
    stream.flush()
    os.fsync(stream.fileno())


def _seconds(when: float | str | datetime) -> float:
    if isinstance(when, str):
        when = datetime.fromisoformat(when)
    return when.timestamp() if isinstance(when, datetime) else float(when)
