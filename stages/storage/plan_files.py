"""Plan files: units as lines of JSON, a fixed number in a file, so that a worker finds a unit by its index alone."""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from stages.records import CaptionPair, Unit
from stages.storage.store import Store, map_in_threads

UNITS_PER_FILE = 512
WRITERS = 4
FOLDER = "run/plan"
MANIFEST = f"{FOLDER}/plan.json"
IMAGES = "images"
"""The manifest's key that says that some caption pair has an image; absent if none has."""
Item = TypeVar("Item")


@dataclass(frozen=True)
class Extension:
    """``units`` units that were added to a plan, from index ``first`` on, in ``files`` (name, SHA-256).

    ``about`` holds plain JSON values of the caller.
    """

    first: int
    units: int
    files: tuple[tuple[str, str], ...]
    about: dict[str, Any]


def cut(pairs: Iterable[CaptionPair], unit_pairs: int, first: int = 0) -> Iterator[Unit]:
    """Cut the pairs, in their order, into units that are numbered from ``first``."""
    return map(Unit, itertools.count(first), _batches(pairs, unit_pairs))


def write_units(
    store: Store, units: Iterable[Unit], kind: str = "units"
) -> tuple[int, list[tuple[str, str]]]:
    """Write files of units while the units arrive. A manifest or an extension then names the files.

    Returns the number of units, and the name and SHA-256 of each file. Names contain the digest, so drivers that plan
    other units write other files. A file that no manifest names is not read.
    """

    def write(file: tuple[int, tuple[str, ...]]) -> tuple[int, tuple[str, str]]:
        number, lines = file
        data = "".join(line + "\n" for line in lines).encode()
        digest = hashlib.sha256(data).hexdigest()
        name = f"{FOLDER}/{kind}-{number:06d}-{digest[:16]}.jsonl"
        store.write(name, data)
        return len(lines), (name, digest)

    batches = enumerate(_batches(map(_line, units), UNITS_PER_FILE))
    written = list(map_in_threads(write, batches, WRITERS, 2 * WRITERS))
    return sum(count for count, _ in written), [file for _, file in written]


def create_manifest(store: Store, record: dict[str, Any]) -> bool:
    """Create the plan from the files in ``record["files"]``. Returns False if another driver created one first."""
    created = store.create_record(MANIFEST, record)
    _places.cache_clear()
    return created


def add_extension(store: Store, number: int, extension: Extension) -> bool:
    """Add extension ``number``, counted from 1. Returns False if another driver added that number first."""
    created = store.create_record(f"{FOLDER}/extension-{number:04d}.json", asdict(extension))
    _places.cache_clear()
    return created


def read_extensions(store: Store) -> list[Extension]:
    """Read the plan's extensions in the order in which they were added. Raises DamageError."""
    _places.cache_clear()
    return _extensions(store)


def read_unit(store: Store, index: int) -> Unit:
    """Read a unit. Raises FileNotFoundError if the plan has no such unit, DamageError for a damaged file."""
    places, images = _places(store.url)
    first, files = next(place for place in places if place[0] <= index)
    number, line = divmod(index - first, UNITS_PER_FILE)
    lines = _lines(store.url, *files[number]) if number < len(files) else ()
    if line >= len(lines):
        raise FileNotFoundError(f"unit {index} of {store.url}")
    pairs = tuple(CaptionPair(**pair) for pair in json.loads(lines[line])["pairs"])
    return Unit(index, pairs, images)


def read_units(store: Store, count: int) -> Iterator[Unit]:
    """Read the first ``count`` units in order."""
    for index in range(count):
        yield read_unit(store, index)


def _line(unit: Unit) -> str:
    return f'{{"pairs": [{", ".join(pair.text for pair in unit.pairs)}], "unit": {unit.index}}}'


def _batches(items: Iterable[Item], size: int) -> Iterator[tuple[Item, ...]]:
    iterator = iter(items)
    while batch := tuple(itertools.islice(iterator, size)):
        yield batch


def _extensions(store: Store) -> list[Extension]:
    names = [name for name in store.list(FOLDER) if name.startswith(f"{FOLDER}/extension-")]
    return [
        Extension(**{**record, "files": tuple((name, digest) for name, digest in record["files"])})
        for record in map(store.read_record, names)
    ]


@functools.lru_cache(maxsize=2)
def _places(url: str) -> tuple[tuple[tuple[int, Sequence[tuple[str, str]]], ...], bool]:
    """The first unit and the files of the plan and of its extensions, the last extension first.

    And whether the plan has images.
    """
    # A process need not look for later extensions: it began after the plan that it serves.
    store = Store(url)
    extensions = [(extension.first, extension.files) for extension in _extensions(store)]
    manifest = store.read_record(MANIFEST)
    return (*reversed(extensions), (0, manifest["files"])), manifest.get(IMAGES, False)


@functools.lru_cache(maxsize=2)
def _lines(url: str, file: str, sha256: str) -> tuple[str, ...]:
    text = Store(url).read_checked(file, sha256, fix="tells what to do").decode()
    # Only a line feed ends a line. Captions may hold U+2028, where str.splitlines would cut too.
    return tuple(text.removesuffix("\n").split("\n"))
