"""Keeps the files of others: a command writes into a new or an empty folder, or into its own earlier output.

``pairforge.json`` marks a folder as an output of PairForge, and a text chunk marks a picture.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from stages.storage.plan_files import MANIFEST
from stages.storage.store import ELSEWHERE, Store, StoreError, no_folder

MARKER = "pairforge.json"
IGNORED = frozenset({MARKER, ".DS_Store", ".gitignore", ".gitkeep", "lost+found"})
"""Names that leave a folder empty: ours, and those that systems and repositories put into empty folders."""
READ_ONLY = ("http://", "https://", "github://", "data:")
SHOWN = 3
"""Names of other files that an error gives."""
PICTURE_KEY, PICTURE_MARK = "Software", "PairForge"


class Holding(Enum):
    """What a marked folder holds."""

    dataset = "dataset"
    export = "export"
    multirun = "multirun"
    model = "model"


@contextlib.contextmanager
def claim(
    store: Store,
    setting: str,
    holding: Holding = Holding.dataset,
    steps: Sequence[str] = (),
    resumable: bool = True,
) -> Iterator[None]:
    """Mark the folder ``store`` as an output of ours while the block begins it.

    setting: the command's name of the folder, like ``out``, for errors.
    steps: folders in it that are outputs themselves.
    resumable: the same command may go on with an earlier output. Otherwise the folder must be empty.

    If the block raises, a folder that was new is as before: without files if it is not resumable, else only if the
    block wrote none. Raises StoreError for a folder that holds anything else, before anything is written.
    """
    if store.url.startswith(READ_ONLY):
        raise StoreError(f"{setting}={store.url} cannot be written to: {ELSEWHERE}")
    absent = [place for place in store.local_path_and_parents() if not place.exists()]
    if not _check(store, setting, holding, resumable):
        _add_steps(store, steps)
        yield
        return
    about = "pairforge writes into this folder, and replaces no file of a folder without this one"
    try:
        # Not created exclusively: a store that cannot do that is refused by its own check, with a better error.
        store.write(MARKER, _marker_text({"about": about, "holds": holding.value, "steps": list(steps)}))
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            _unclaim(store, absent, resumable)
        raise


def check_picture(path: Path, setting: str) -> None:
    """Raise StoreError if a PNG cannot be written to ``path``, or if a file there is not a picture of ours."""
    obstacle = no_folder(path.parent)
    if obstacle:
        raise StoreError(f"{setting}={path}: {path.parent} {obstacle}: give another path")
    if path.is_dir():
        raise StoreError(f"{setting}={path} is a folder: give the name of a picture in it")
    if os.path.lexists(path) and not path.is_char_device() and not _is_our_picture(path):
        raise StoreError(
            f"{setting}={path} exists and is not a picture of pairforge: give another name, or remove it"
        )
    place = next(place for place in path.parents if place.exists())
    if not os.access(place, os.W_OK):
        raise StoreError(f"{setting}={path} cannot be written: {place} is read-only for this user")


def write_picture(path: Path, png: bytes, setting: str) -> None:
    """Write a PNG with our mark. Raises StoreError as ``check_picture``: a file may have come since."""
    check_picture(path, setting)
    path.parent.mkdir(parents=True, exist_ok=True)
    mark = PngInfo()
    mark.add_text(PICTURE_KEY, PICTURE_MARK)
    with Image.open(io.BytesIO(png)) as image:
        image.save(path, "PNG", pnginfo=mark)


def _check(store: Store, setting: str, holding: Holding, resumable: bool) -> bool:
    """Return whether the folder is new. Raises StoreError if it may not be written to."""
    outer = next((url for url in store.parents() if _encloses(Store(url), store)), None)
    if outer:
        raise StoreError(
            f"{setting}={store.url} lies in {outer}, another output: give a folder outside of it"
        )
    marker = _read_marker(store)
    others = [name for name in store.top_level() if not _is_ignored(name)]
    if marker is not None and marker["holds"] != holding.value:
        raise StoreError(
            f"{setting}={store.url} holds what another command wrote ({marker['holds']}): give another folder"
        )
    # Outputs of versions without a marker have a plan, which says what may be done with them.
    ours = marker is not None or (holding is Holding.dataset and store.exists(MANIFEST))
    if others and not (ours and resumable):
        more = f" and {len(others) - SHOWN} more" if len(others) > SHOWN else ""
        raise StoreError(
            f"{setting}={store.url} is not empty ({', '.join(others[:SHOWN])}{more})"
            f"{'' if ours else ' and is not an output of pairforge'}: give a new or an empty folder"
        )
    return not ours


def sweep_runs(store: Store) -> list[str]:
    """The outputs of the runs of a sweep (``--multirun``) by number, begun or not; none for any other folder."""
    marker = _read_marker(store)
    if marker is None or marker["holds"] != Holding.multirun.value:
        return []
    return [store.path(number) for number in sorted(marker["steps"], key=int)]


def _is_ignored(name: str) -> bool:
    # A killed writer of the marker leaves a scratch file.
    return name in IGNORED or name.startswith(f".{MARKER}.")


def _encloses(outer: Store, store: Store) -> bool:
    """Whether ``outer`` is an output of which ``store`` is not a step."""
    marker = _read_marker(outer)
    if marker is None:
        try:
            return outer.exists(MANIFEST)
        except PermissionError:  # a role that may use one folder of a bucket alone
            return False
    # What lies in a step is for the step to decide.
    return os.path.relpath(store.path(""), outer.path("")).split(os.sep)[0] not in marker["steps"]


def _add_steps(store: Store, steps: Sequence[str]) -> None:
    """Add further steps to the marker of an output that goes on."""
    marker = _read_marker(store)
    if marker is not None and not set(steps) <= set(marker["steps"]):
        store.write(MARKER, _marker_text({**marker, "steps": sorted({*marker["steps"], *steps})}))


def _read_marker(store: Store) -> dict[str, Any] | None:
    """The marker of a folder, None if it has none that we wrote."""
    try:
        marker = json.loads(store.read(MARKER))
    except (OSError, ValueError):
        return None
    known = isinstance(marker, dict) and isinstance(marker.get("steps"), list) and "holds" in marker
    return marker if known else None


def _marker_text(marker: dict[str, Any]) -> bytes:
    return (json.dumps(marker, indent=1) + "\n").encode()


def _unclaim(store: Store, absent: Sequence[Path], resumable: bool) -> None:
    """Remove what a failed command left in a folder that was new. ``absent``: the folders that did not exist."""
    if not resumable:
        store.remove_all(keep=IGNORED)
    store.remove_empty_folders(keep=IGNORED)
    if all(map(_is_ignored, store.top_level())):
        store.remove(MARKER)
        for place in absent:
            place.rmdir()


def _is_our_picture(path: Path) -> bool:
    try:
        with Image.open(path) as image:
            return image.info.get(PICTURE_KEY) == PICTURE_MARK
    except (OSError, UnidentifiedImageError, ValueError):
        return False
