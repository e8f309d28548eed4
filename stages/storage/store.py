"""A run's output folder, local or on an object store: whole files, written once, and one exclusive creation."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import random
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, TypeVar, cast
from urllib.parse import urlsplit

from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from conf.messages import error_line
from stages.storage import file_lock

AT_ONCE = 256
PAUSES = (0.1, 0.4, 1.6, 6.4)
"""Seconds, half or half as much again, before a call that failed is made once more."""
FINAL = (FileNotFoundError, FileExistsError, PermissionError, IsADirectoryError, NotADirectoryError)
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
NO_FLUSH = frozenset({errno.EACCES, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
Result = TypeVar("Result")
# The file systems' own names: local, S3, Google, Azure, memory.
TIMES = ("mtime", "LastModified", "updated", "last_modified", "created")
ELSEWHERE = "give a local folder, a shared one, s3:// or gs://"


class StoreError(ValueError):
    """The output cannot be used: one line that names it and the mend."""


class Store:
    """Files under ``url`` (a folder, or anything fsspec opens: ``s3://``, ``gs://``, ``memory://``).

    Names are relative, with ``/``. A name that starts with a dot is a file being written: nothing reads it, and
    what a killed writer leaves behind is harmless. A file that was written is there after a power cut too, if the disk
    keeps what it was told to.

    A call that fails for a reason that may pass (a connection that breaks, a server that is busy) is made again, five
    times in all; what stays is the OSError of the last. A stream of ``open_write`` cannot be.
    """

    def __init__(self, url: str) -> None:
        """Raises StoreError if no file system serves ``url``, it names a key, or a local ``url`` cannot be a folder."""
        address = urlsplit(url) if "://" in url else None
        if address and "@" in address.netloc:
            raise StoreError(
                f"out={address.scheme}://…@{address.netloc.rpartition('@')[2]}{address.path} names a user or a key, "
                "and would be written into the output: leave them to the environment or to the machine's role"
            )
        self.url = url
        try:
            self._fs, root = url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise StoreError(f"out={url}: {error_line(error)}") from error
        self._root = root.rstrip("/")
        self._local = isinstance(self._fs, LocalFileSystem)
        obstacle = no_folder(Path(self._root)) if self._local else ""
        if obstacle:
            raise StoreError(f"out={url} {obstacle}: give a folder")

    def path(self, name: str) -> str:
        """The full path of ``name`` in its file system."""
        return f"{self._root}/{name}"

    def exists(self, name: str) -> bool:
        return bool(_lasting(lambda: self._fresh().exists(self.path(name))))

    def size(self, name: str) -> int:
        return int(_lasting(lambda: self._fresh().size(self.path(name))))

    def read(self, name: str) -> bytes:
        """Raises FileNotFoundError."""
        return _lasting(lambda: self._read(self.path(name)))

    def open_read(self, name: str) -> IO[bytes]:
        """A stream out of ``name``, for what is larger than the memory. Raises FileNotFoundError."""
        return cast(IO[bytes], self._fs.open(self.path(name), "rb"))

    def read_many(self, names: Sequence[str]) -> Iterator[bytes]:
        """The files in the order of ``names``; an object store is asked for many at once. Raises FileNotFoundError."""
        if self._local:
            yield from map(self.read, names)
            return
        for first in range(0, len(names), AT_ONCE):
            paths = [self.path(name) for name in names[first : first + AT_ONCE]]
            contents = self._fs.cat(paths, on_error="return")
            for name, path in zip(names[first : first + AT_ONCE], paths, strict=True):
                # Of many some fail sooner or later: those alone are asked for again.
                yield self.read(name) if isinstance(contents[path], Exception) else contents[path]

    def list(self, folder: str) -> list[str]:
        """The names of the files in ``folder``, sorted, without those being written; empty if it is absent."""
        try:
            entries = _lasting(lambda: self._fresh().ls(self.path(folder), detail=False))
        except FileNotFoundError:
            return []
        names = sorted(str(entry).rstrip("/").rsplit("/", 1)[-1] for entry in entries)
        return [f"{folder}/{name}" for name in names if not name.startswith(".")]

    def times(self, folder: str) -> dict[str, float]:
        """When each file in ``folder`` was written, in seconds since 1970, for those whose file system tells."""
        try:
            entries = _lasting(lambda: self._fresh().ls(self.path(folder), detail=True))
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
                _flush_folder(scratch.parent)
            return
        stream = self._fs.open(self.path(name), "wb")
        try:
            yield stream
        except BaseException:
            stream.discard()
            # Or it would be flushed when it is collected.
            stream.closed = True
            raise
        stream.close()

    def write(self, name: str, data: bytes) -> None:
        """Write a whole file; an existing one is replaced."""

        def write() -> None:
            with self.open_write(name) as stream:
                stream.write(data)

        _lasting(write)

    def create_exclusive(self, name: str, data: bytes) -> bool:
        """Create ``name`` whole, unless it exists. True for the one caller that made it.

        Local files are linked into place; object stores put on condition that the key is absent (fsspec's
        ``mode="create"``). A local file system without links creates with O_EXCL: a kill in the middle of that leaves
        a torn file, which its seal gives away.
        """
        try:
            _lasting(lambda: self._create(name, data))
        except FileExistsError:
            # The answer to a call that did create it may have been lost on the way, and the call made again.
            return not self._local and self.read(name) == data
        return True

    def prove_exclusive(self) -> None:
        """Raises StoreError if the store lets two create one file, or is no one's but this process's."""
        if self.url.startswith("memory://"):
            raise StoreError(
                f"out={self.url}: every process has a memory of its own: give a folder or s3://…"
            )
        name = f"run/.proof-{uuid.uuid4().hex}"
        try:
            first, second = (self.create_exclusive(name, data) for data in (b"first", b"second"))
        except (NotImplementedError, ValueError, TypeError) as error:
            raise StoreError(
                f"out={self.url} cannot create a file exclusively ({error}): {ELSEWHERE}"
            ) from error
        finally:
            self.remove(name)
        if second or not first:
            raise StoreError(f"out={self.url} lets two create one file, so units could be lost: {ELSEWHERE}")

    def remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            _lasting(lambda: self._fs.rm_file(self.path(name)))

    def _read(self, path: str) -> bytes:
        if self._local:
            # Without the stream that fsspec lays around the file: commits and parts are many and small.
            with open(path, "rb", buffering=0) as stream:
                return stream.readall()
        return bytes(self._fs.cat_file(path))

    def _create(self, name: str, data: bytes) -> None:
        if not self._local:
            self._fs.pipe_file(self.path(name), data, mode="create")
            return
        with self._scratch(name) as (scratch, stream):
            stream.write(data)
            _flush(stream)
            try:
                os.link(scratch, self.path(name))
            except OSError as error:
                if error.errno not in NO_LINKS:
                    raise
                with open(self.path(name), "xb") as final:
                    final.write(data)
                    _flush(final)
            _flush_folder(scratch.parent)

    def _fresh(self) -> AbstractFileSystem:
        """The file system without what it remembers of listings: others write too."""
        self._fs.invalidate_cache()
        return self._fs

    def sweep_scratch(self, folder: str) -> None:
        """Remove what killed writers left in ``folder``; what another one is writing stays."""
        if self._local:
            for scratch in Path(self.path(folder)).glob(".*.tmp"):
                file_lock.sweep(scratch)

    @contextlib.contextmanager
    def _scratch(self, name: str) -> Iterator[tuple[Path, IO[bytes]]]:
        final = Path(self.path(name))
        _make_folder(final.parent)
        held = False
        while not held:
            scratch = final.with_name(f".{final.name}.{uuid.uuid4().hex}.tmp")
            with scratch.open("xb") as stream:
                held = file_lock.hold(stream, scratch)
                if held:
                    try:
                        yield scratch, stream
                    finally:
                        scratch.unlink(missing_ok=True)


def no_folder(path: Path) -> str:
    """Why ``path`` neither is nor can become a folder: it, or what it lies below, is a file. "" if it can."""
    file = next((place for place in (path, *path.parents) if place.is_file()), None)
    if file is None:
        return ""
    return "is a file" if file == path else f"lies below {file}, which is a file"


def _lasting(act: Callable[[], Result]) -> Result:
    """What ``act`` returns, tried again where it fails for a reason that may pass."""
    for pause in PAUSES:
        try:
            return act()
        except FINAL:
            raise
        except OSError as error:
            if error.errno in FULL:
                raise
        time.sleep(pause * random.uniform(0.5, 1.5))
    return act()


def _flush(stream: IO[bytes]) -> None:
    stream.flush()
    os.fsync(stream.fileno())


def _make_folder(folder: Path) -> None:
    absent = list(itertools.takewhile(lambda place: not place.exists(), (folder, *folder.parents)))
    folder.mkdir(parents=True, exist_ok=True)
    for made in reversed(absent):
        _flush_folder(made.parent)


def _flush_folder(folder: Path) -> None:
    """A file outlives a power cut once its name does, which is its folder's content."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        # Some file systems have no such call for folders, and a folder that may be written to need not be readable.
        if error.errno not in NO_FLUSH:
            raise


def _seconds(when: float | str | datetime) -> float:
    if isinstance(when, str):
        when = datetime.fromisoformat(when)
    return when.timestamp() if isinstance(when, datetime) else float(when)
