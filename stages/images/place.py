"""Places of input images: a file, or a part of one, below a folder or a bucket; reads their bytes.

A place is a path, relative to the root or absolute, and after it, for a part of a file, ``#OFFSET+SIZE`` (bytes, as of
a member of a tar) or ``#ROW/COLUMN`` (of a Parquet file, rows counted from 0).
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
from pathlib import Path
from typing import Any

from conf.messages import error_line
from conf.schema import Captions, CaptionsKind
from stages.errors import MachineError
from stages.images.decode import ImageError
from stages.storage.store import Store, retry

MAX_BYTES = 256 * 2**20
"""Bytes of an image file; a larger one is not read."""
KEPT = "run/images"
"""The folder in an output of the images that have no file of their own."""

_PART = re.compile(r"(?P<file>.*)#(?:(?P<offset>\d+)\+(?P<size>\d+)|(?P<row>\d+)/(?P<column>.+))", re.DOTALL)
_FILES = frozenset(CaptionsKind) - {CaptionsKind.dataset}


def image_root(captions: Captions, out: str) -> str:
    """Returns the folder or bucket that relative places start from.

    It is ``captions.images``, or else the folder of the captions' files. Images of datasets and of a user's module may
    have no file: these are kept in the output.
    """
    if captions.images:
        return captions.images
    if captions.kind not in _FILES:
        return kept_images(out)
    path = Path(captions.path)
    while path.suffix or any(letter in path.name for letter in "*?["):
        if path.is_dir():
            break
        path = path.parent
    return str(path)


def kept_images(out: str) -> str:
    """Returns the folder of an output for images that have no file."""
    return f"{out.rstrip('/')}/{KEPT}"


def relative_place(file: str | Path, root: str) -> str:
    """Returns the path of a local file relative to a local root if it lies below it, or else its absolute path."""
    path, folder = Path(os.path.abspath(file)), os.path.abspath(root)
    is_below = root and "://" not in root and path.is_relative_to(folder)
    return str(path.relative_to(folder)) if is_below else str(path)


def keep_image(root: str, data: bytes) -> str:
    """Stores the bytes of an image without a file below the root, and returns its place."""
    name = hashlib.sha256(data).hexdigest()
    store = Store(root)
    if not store.exists(name):
        store.write(name, data)
    return name


def read_image(root: str, place: str) -> bytes:
    """Reads the bytes of an image.

    Raises:
        ImageError: there is no such file or part, or it cannot be read.
        MachineError: this machine has not even the folder of the images.
    """
    store, name = _locate(root, place)
    try:
        return _read(store, name)
    except FileNotFoundError as error:
        if "://" not in store.url and not Path(store.url).is_dir():
            raise MachineError(
                f"{store.url} is not a folder of this machine: input images must lie on a disk that all machines "
                "share, or in a bucket (captions.images=…)"
            ) from error
        raise ImageError("no such file") from error
    except PermissionError as error:
        raise ImageError("cannot be read: permission denied") from error
    except (IsADirectoryError, NotADirectoryError) as error:
        raise ImageError("not a file") from error


def read_checked(root: str, place: str, sha256: str) -> bytes:
    """Reads the bytes of an image as ``read_image`` does. Raises ImageError too if they have another SHA-256."""
    data = read_image(root, place)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ImageError(
            "the image changed since the run was planned: restore the file, or give another out=… to start anew"
        )
    return data


def _locate(root: str, place: str) -> tuple[Store, str]:
    return (_store("/"), place[1:]) if place.startswith("/") else (_store(root), place)


@functools.lru_cache(maxsize=8)
def _store(root: str) -> Store:
    return Store(root)


def _read(store: Store, name: str) -> bytes:
    part = _PART.fullmatch(name)
    # A whole file may have such a name.
    if part is None or store.exists(name):
        return _read_range(store, name, 0, None)
    if part["column"] is None:
        return _read_range(store, part["file"], int(part["offset"]), int(part["size"]))
    return _read_cell(store, part["file"], int(part["row"]), part["column"])


def _read_range(store: Store, name: str, offset: int, size: int | None) -> bytes:
    def read() -> bytes:
        with store.open_read(name) as stream:
            stream.seek(offset)
            return stream.read(MAX_BYTES + 1 if size is None else min(size, MAX_BYTES + 1))

    data = retry(read)
    if len(data) > MAX_BYTES:
        raise ImageError(f"the image has more than {MAX_BYTES:,} bytes")
    if size is not None and len(data) < size:
        raise ImageError("the file ends before the image does")
    return data


def _read_cell(store: Store, name: str, row: int, column: str) -> bytes:
    # Imported here: few runs have images in Parquet.
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with store.open_read(name) as stream, pq.ParquetFile(stream) as parquet:
            first = 0
            for group in range(parquet.num_row_groups):
                rows = parquet.metadata.row_group(group).num_rows
                if row < first + rows:
                    batches = parquet.iter_batches(1, [group], [column], use_threads=False)
                    value = (
                        next(b for place, b in enumerate(batches, first) if place == row).column(0)[0].as_py()
                    )
                    return cell_bytes(value) or b""
                first += rows
    except (pa.ArrowException, IndexError, KeyError, ValueError) as error:
        raise ImageError(f"there is no image in row {row + 1}: {error_line(error)}") from error
    raise ImageError(f"there is no row {row + 1}")


def cell_bytes(value: Any) -> bytes | None:
    """Returns the bytes in a cell of Parquet or of a dataset: bytes, or an object of which one field is ``bytes``."""
    if isinstance(value, dict):
        value = value.get("bytes")
    return value if isinstance(value, bytes) else None
