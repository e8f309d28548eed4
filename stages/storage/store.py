"""The output of a run, a folder or a bucket: whole files, records with a checksum, and exclusive creation."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import hashlib
import itertools
import json
import os
import random
import time
import uuid
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import IO, Any, TypeVar, cast
from urllib.parse import urlsplit

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from conf.messages import error_line

AT_ONCE = 256
"""Files that an object store is asked for at a time."""
PAUSES = (0.1, 0.4, 1.6, 6.4)
"""Seconds before each retry of a failed call; each is multiplied by a random factor of 0.5 to 1.5."""
FINAL = (FileNotFoundError, FileExistsError, PermissionError, IsADirectoryError, NotADirectoryError)
"""Errors that a retry does not mend, as are those of a full disk."""
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
NO_FLUSH = frozenset({errno.EACCES, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
TIMES = ("mtime", "LastModified", "updated", "last_modified", "created")
"""The key of a file's time: local, S3, Google, Azure, memory."""
CHECKSUM = "sha256"
"""The key of a record's checksum."""
ELSEWHERE = "give a local folder, a shared one, s3:// or gs://"
Item = TypeVar("Item")
Result = TypeVar("Result")


class StoreError(ValueError):
    """The output cannot be used: one line that names it and the fix."""


class DamageError(ValueError):
    """A file of the output is missing or is not what was written: one line that names it and the fix."""


class Store:
    """Files under ``url``: a folder, or a URL that fsspec opens (``s3://``, ``gs://``, ``memory://``).

    Names are relative, with ``/``. A name that starts with a dot belongs to a file that is being written: no reader
    looks at it, so the rest of a killed writer does no harm. A local file that was written survives a power cut, if the
    disk keeps what it was told to flush.

    A call that fails for a temporary reason (a broken connection, a busy server) is retried four times; then its
    OSError is raised. Streams are not retried.
    """

    def __init__(self, url: str) -> None:
        """Raises StoreError if no file system serves ``url``, it holds a key, or a local ``url`` cannot be a folder."""
        address = urlsplit(url) if "://" in url else None
        if address and "@" in address.netloc:
            raise StoreError(
                f"out={address.scheme}://…@{address.netloc.rpartition('@')[2]}{address.path} names a user or a key, "
                "and would be written into the output: leave them to the environment or to the machine's role"
            )
        self.url = url
        try:
            # No cache of listings, because other processes write too.
            self._fs, root = url_to_fs(url, use_listings_cache=False)
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
        return bool(retry(lambda: self._fs.exists(self.path(name))))

    def size(self, name: str) -> int:
        return int(retry(lambda: self._fs.size(self.path(name))))

    def read(self, name: str) -> bytes:
        """Read a whole file. Raises FileNotFoundError."""
        return retry(lambda: self._read(self.path(name)))

    def read_checked(self, name: str, sha256: str, owner: str = "", fix: str = "makes it again") -> bytes:
        """Read a whole file. Raises DamageError if it is missing or has another SHA-256.

        The error says whose file it is (``owner``) and what ``pairforge repair`` does about it (``fix``).
        """
        try:
            data, problem = self.read(name), "is damaged"
        except FileNotFoundError:
            data, problem = b"", "is missing"
        if hashlib.sha256(data).hexdigest() != sha256:
            raise DamageError(f"{self.path(name)}{owner} {problem}: pairforge repair {self.url} {fix}")
        return data

    def read_record(self, name: str) -> dict[str, Any]:
        """Read a record with its checksum. Raises FileNotFoundError, and DamageError for a damaged record."""
        return unseal(self.read(name), self.path(name))

    def write_record(self, name: str, record: dict[str, Any]) -> None:
        """Write a record with its checksum; an existing file is replaced."""
        self.write(name, seal(record).encode())

    def create_record(self, name: str, record: dict[str, Any]) -> bool:
        """Create a record with its checksum as ``create_exclusive`` does."""
        return self.create_exclusive(name, seal(record).encode())

    def open_read(self, name: str) -> IO[bytes]:
        """Open a file that is too large for the memory as a stream. Raises FileNotFoundError."""
        return cast(IO[bytes], self._fs.open(self.path(name), "rb"))

    def read_many(self, names: Sequence[str]) -> Iterator[bytes]:
        """Yield the files in the order of ``names``. An object store is asked for many at once.

        Raises FileNotFoundError.
        """
        if self._local:
            yield from map(self.read, names)
            return
        for first in range(0, len(names), AT_ONCE):
            paths = [self.path(name) for name in names[first : first + AT_ONCE]]
            contents = self._fs.cat(paths, on_error="return")
            for name, path in zip(names[first : first + AT_ONCE], paths, strict=True):
                # Some of many requests fail sooner or later. Only those are repeated.
                yield self.read(name) if isinstance(contents[path], Exception) else contents[path]

    def top_level(self) -> list[str]:
        """The names of all files and folders directly under ``url``, hidden ones too, sorted."""
        paths = (str(entry).rstrip("/") for entry in self._entries("", False))
        # An object store lists the key of the folder itself too, if somebody made one.
        return sorted(path.rsplit("/", 1)[-1] for path in paths if path != self._root)

    def parents(self) -> Iterator[str]:
        """The URLs of the folders above ``url``, the nearest first."""
        protocol = "" if self._local else self.url.partition("://")[0] + "://"
        path = os.path.realpath(self._root or "/") if self._local else self._root
        while "/" in path.strip("/"):
            path = path.rpartition("/")[0]
            yield protocol + path

    def local_path_and_parents(self) -> list[Path]:
        """The folder and those above it, the folder first; empty for a store that is not on this machine."""
        path = Path(self._root or "/")
        return [path, *path.parents] if self._local else []

    def remove_all(self, keep: Collection[str]) -> None:
        """Remove everything under ``url`` but the names ``keep``."""
        for name in set(self.top_level()).difference(keep):
            retry(functools.partial(self._fs.rm, self.path(name), recursive=True))

    def remove_empty_folders(self, keep: Collection[str]) -> None:
        """Remove the folders under ``url``, but the names ``keep``, that hold no file. An object store has none."""
        for name in set(self.top_level()).difference(keep) if self._local else ():
            for folder, _, _ in os.walk(self.path(name), topdown=False):
                if not os.listdir(folder):
                    os.rmdir(folder)

    def list(self, folder: str) -> list[str]:
        """The names of the complete files in ``folder``, sorted; empty if the folder is absent."""
        names = sorted(str(entry).rstrip("/").rsplit("/", 1)[-1] for entry in self._entries(folder, False))
        return [f"{folder}/{name}" for name in names if not name.startswith(".")]

    def times(self, folder: str) -> dict[str, float]:
        """The time of each file in ``folder`` in seconds since 1970, without files whose file system gives none."""
        found = {}
        if self._local:
            # fsspec would hold a kilobyte of each of millions of files.
            with contextlib.suppress(FileNotFoundError), os.scandir(self.path(folder)) as entries:
                return {f"{folder}/{entry.name}": entry.stat().st_mtime for entry in entries}
        for entry in self._entries(folder, True):
            when = next((entry[key] for key in TIMES if entry.get(key)), None)
            when = datetime.fromisoformat(when) if isinstance(when, str) else when
            if when is not None:
                name = f"{folder}/{str(entry['name']).rsplit('/', 1)[-1]}"
                found[name] = float(when.timestamp() if isinstance(when, datetime) else when)
        return found

    @contextlib.contextmanager
    def open_write(self, name: str) -> Iterator[IO[bytes]]:
        """Open a stream into ``name``. The file appears, complete, when the block ends without an exception."""
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
            # Otherwise garbage collection would flush the stream.
            stream.closed = True
            raise
        stream.close()

    def write(self, name: str, data: bytes) -> None:
        """Write a whole file; an existing file is replaced."""

        def write() -> None:
            with self.open_write(name) as stream:
                stream.write(data)

        retry(write)

    def create_exclusive(self, name: str, data: bytes) -> bool:
        """Create a whole file, unless it exists. Returns True to the one caller that created it.

        A local file is linked into place. An object store puts on the condition that the key is absent (fsspec's
        ``mode="create"``). A local file system without links creates with O_EXCL: a kill during that leaves an
        incomplete file, which its checksum reveals.
        """
        try:
            retry(lambda: self._create(name, data))
        except FileExistsError:
            # An object store may have created the file at the first try, whose answer was lost.
            return not self._local and self.read(name) == data
        return True

    def prove_exclusive(self) -> None:
        """Raise StoreError if the store lets two writers create one file, or only this process can see it."""
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
        """Remove a file, if it exists."""
        with contextlib.suppress(FileNotFoundError):
            retry(lambda: self._fs.rm_file(self.path(name)))

    def sweep_scratch(self, folder: str) -> None:
        """Remove the files that killed writers left in ``folder``. A living writer holds a lock on its file."""
        if self._local:
            for scratch in Path(self.path(folder)).glob(".*.tmp"):
                with contextlib.suppress(OSError), scratch.open("rb") as stream:
                    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    scratch.unlink(missing_ok=True)

    def _read(self, path: str) -> bytes:
        if self._local:
            # Without fsspec's stream around the file: commits and parts are many and small.
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

    def _entries(self, folder: str, detail: bool) -> Sequence[Any]:
        """The paths in ``folder``, or with ``detail`` the file system's dicts; empty if the folder is absent."""
        try:
            return cast(Sequence[Any], retry(lambda: self._fs.ls(self.path(folder), detail=detail)))
        except FileNotFoundError:
            return []

    @contextlib.contextmanager
    def _scratch(self, name: str) -> Iterator[tuple[Path, IO[bytes]]]:
        """Open a locked file beside ``name``, which is removed at the end if it was not renamed."""
        final = Path(self.path(name))
        _make_folder(final.parent)
        locked = False
        while not locked:
            scratch = final.with_name(f".{final.name}.{uuid.uuid4().hex}.tmp")
            with scratch.open("xb") as stream:
                locked = _lock(stream, scratch)
                if locked:
                    try:
                        yield scratch, stream
                    finally:
                        scratch.unlink(missing_ok=True)


def seal(record: dict[str, Any]) -> str:
    """Return the record as one line of JSON with its checksum. ``record`` has no key ``sha256``."""
    return _json({**record, CHECKSUM: _digest(record)})


def unseal(text: str | bytes, name: str) -> dict[str, Any]:
    """Return the record that ``seal`` was given. Raises DamageError, which names ``name``, for any other text."""
    try:
        record = json.loads(text)
        checksum = record.pop(CHECKSUM)
    except (ValueError, KeyError, AttributeError, TypeError):
        checksum, record = "", {}
    if checksum != _digest(record):
        raise DamageError(
            f"{name} is not what was written (cut off, or edited): pairforge repair OUT makes it anew"
        )
    return dict(record)


def map_in_threads(
    act: Callable[[Item], Result], items: Iterable[Item], threads: int, most: int
) -> Generator[Result, None, None]:
    """Yield ``act(item)`` of each item in order. Threads work on the next items, ``most`` at a time, meanwhile.

    Waiting for a disk or a server, and hashing, do not hold Python's lock. An error of ``act`` is raised in the place
    of its result, and items that were not begun by then are dropped.
    """
    waiting = deque[Future[Result]]()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(act, item))
                if len(waiting) == most:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def no_folder(path: Path) -> str:
    """Why ``path`` neither is nor can become a folder: it, or a place above it, is a file. "" if it can."""
    file = next((place for place in (path, *path.parents) if place.is_file()), None)
    if file is None:
        return ""
    return "is a file" if file == path else f"lies below {file}, which is a file"


def _digest(record: dict[str, Any]) -> str:
    return hashlib.sha256(_json(record).encode()).hexdigest()


def _json(record: dict[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False, sort_keys=True)


def retry(act: Callable[[], Result]) -> Result:
    """Call ``act``, again after each of ``PAUSES`` while it fails for a reason that may be temporary."""
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


def _lock(stream: IO[bytes], path: Path) -> bool:
    """Lock a new file until it is closed. False if ``path`` was swept before that. True on file systems without locks.

    On those nothing is swept either.
    """
    try:
        fcntl.flock(stream, fcntl.LOCK_EX)
    except OSError:
        return True
    try:
        return os.stat(path).st_ino == os.fstat(stream.fileno()).st_ino
    except FileNotFoundError:
        return False


def _flush(stream: IO[bytes]) -> None:
    stream.flush()
    os.fsync(stream.fileno())


def _make_folder(folder: Path) -> None:
    absent = list(itertools.takewhile(lambda place: not place.exists(), (folder, *folder.parents)))
    folder.mkdir(parents=True, exist_ok=True)
    for made in reversed(absent):
        _flush_folder(made.parent)


def _flush_folder(folder: Path) -> None:
    """Flush the names in a folder: a file survives a power cut only if its name does."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        # Some file systems cannot flush folders, and a folder that is writable need not be readable.
        if error.errno not in NO_FLUSH:
            raise
