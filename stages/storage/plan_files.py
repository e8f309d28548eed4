"""The plan's files: units as lines of JSON, so many a file that a worker finds its own by index alone."""

from __future__ import annotations

import functools
import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from stages.records import CaptionPair, Unit
from stages.storage.checksum import DamageError, seal, seal_text, unseal
from stages.storage.prefetch import ahead
from stages.storage.store import Store

UNITS_PER_FILE = 512
WRITERS = 4
FOLDER = "run/plan"
MANIFEST = f"{FOLDER}/plan.json"
Item = TypeVar("Item")


@dataclass(frozen=True)
class Extension:
    """Units that were added to a plan: ``units`` of them from index ``first`` on, in ``files`` (name, SHA-256).

    ``about`` is the caller's: plain values of JSON.
    """

    first: int
    units: int
    files: tuple[tuple[str, str], ...]
    about: dict[str, Any]


def cut(pairs: Iterable[Item], unit_pairs: int, first: int = 0) -> Iterator[tuple[int, tuple[Item, ...]]]:
    """Cut ``pairs``, or what stands for them, into units in their order, counted from ``first``."""
    left = iter(pairs)
    for index in itertools.count(first):
        held = tuple(itertools.islice(left, unit_pairs))
        if not held:
            return
        yield index, held


def line_of(index: int, pairs: Iterable[str]) -> str:
    """The plan's line of the unit of pairs with these texts."""
    # What json.dumps would write with sorted keys, in a fraction of its time: a plan has millions of these.
    return seal_text(f'{{"pairs": [{", ".join(pairs)}], "unit": {index}}}')


def lines_of(units: Iterable[Unit]) -> Iterator[str]:
    """The plan's lines of units."""
    return (line_of(unit.index, [pair.text for pair in unit.pairs]) for unit in units)


def write_units(store: Store, lines: Iterable[str], kind: str = "units") -> tuple[int, list[tuple[str, str]]]:
    """Write files of units, while their lines come, for a manifest or an extension to name.

    The number of units, and each file's name and SHA-256. A name has the digest in it: drivers that plan other units
    write other files, and what is not named is not read.
    """
    count, files = 0, []

    def write(file: tuple[int, list[str]]) -> tuple[int, tuple[str, str]]:
        number, lines = file
        data = "".join(line + "\n" for line in lines).encode()
        digest = hashlib.sha256(data).hexdigest()
        name = f"{FOLDER}/{kind}-{number:06d}-{digest[:16]}.jsonl"
        store.write(name, data)
        return len(lines), (name, digest)

    for written, named in ahead(write, enumerate(_cut(lines)), WRITERS, 2 * WRITERS):
        files.append(named)
        count += written
    return count, files


def create_manifest(store: Store, record: dict[str, Any]) -> bool:
    """Make what was written the plan: False if another driver's is there. ``record["files"]`` names the files."""
    made = store.create_exclusive(MANIFEST, seal(record).encode())
    _forget()
    return made


def named(files: Sequence[Any]) -> tuple[tuple[str, str], ...]:
    """Each file's name and SHA-256, as a manifest has them; one of an older version has the digests alone."""
    return tuple(
        (f"{FOLDER}/units-{number:06d}.jsonl", file) if isinstance(file, str) else (file[0], file[1])
        for number, file in enumerate(files)
    )


def add_extension(store: Store, number: int, extension: Extension) -> bool:
    """Make the extension, counted from 1, part of the plan: False if another was first to make one of that number."""
    record = {
        "first": extension.first,
        "units": extension.units,
        "files": [list(file) for file in extension.files],
        "about": extension.about,
    }
    made = store.create_exclusive(f"{FOLDER}/extension-{number:04d}.json", seal(record).encode())
    _forget()
    return made


def read_extensions(store: Store) -> list[Extension]:
    """The plan's extensions, in the order in which they were made. Raises DamageError for one that is not whole."""
    _forget()
    return list(_extensions(store.url))


def read_unit(store: Store, index: int) -> Unit:
    """The unit of that index. Raises FileNotFoundError if the plan has no such unit, DamageError for a bad line."""
    file, line = _place(store.url, index)
    lines = _lines(store.url, file)
    name = f"{store.path(file)}, line {line + 1},"
    record = unseal(lines[line] if line < len(lines) else "", name)
    if record["unit"] != index:
        raise DamageError(
            f"{name} holds unit {record['unit']} where unit {index} was written: copy the file anew"
        )
    return Unit(index, tuple(CaptionPair(**pair) for pair in record["pairs"]))


def read_units(store: Store, count: int) -> Iterator[Unit]:
    """The plan's units in order."""
    for index in range(count):
        yield read_unit(store, index)


def _cut(lines: Iterable[str]) -> Iterator[list[str]]:
    left = iter(lines)
    while held := list(itertools.islice(left, UNITS_PER_FILE)):
        yield held


def _place(url: str, index: int) -> tuple[str, int]:
    for extension in _extensions(url):
        if extension.first <= index < extension.first + extension.units:
            number, line = divmod(index - extension.first, UNITS_PER_FILE)
            return extension.files[number][0], line
    number, line = divmod(index, UNITS_PER_FILE)
    files = _files(url)
    if number >= len(files):
        raise FileNotFoundError(f"unit {index} of {url}")
    return files[number][0], line


def _forget() -> None:
    _files.cache_clear()
    _extensions.cache_clear()


@functools.lru_cache(maxsize=2)
def _files(url: str) -> tuple[tuple[str, str], ...]:
    store = Store(url)
    return named(unseal(store.read(MANIFEST), store.path(MANIFEST))["files"])


@functools.lru_cache(maxsize=2)
def _extensions(url: str) -> tuple[Extension, ...]:
    # A process that makes units began after the plan that it serves: what is added later, others make.
    store = Store(url)
    found = []
    for name in store.list(FOLDER):
        if name.startswith(f"{FOLDER}/extension-"):
            record = unseal(store.read(name), store.path(name))
            files = tuple((file, digest) for file, digest in record["files"])
            found.append(Extension(record["first"], record["units"], files, record["about"]))
    return tuple(found)


@functools.lru_cache(maxsize=2)
def _lines(url: str, file: str) -> tuple[str, ...]:
    # A line feed alone ends a line: captions may hold U+2028 and its like, where str.splitlines would cut.
    return tuple(Store(url).read(file).decode().removesuffix("\n").split("\n"))
