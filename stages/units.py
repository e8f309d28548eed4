"""The plan's files: units as lines of JSON, so many a file that a worker finds its own by index alone."""

from __future__ import annotations

import functools
import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from stages.ahead import ahead
from stages.records import CaptionPair, Unit
from stages.sealed import DamageError, seal, seal_text, unseal
from stages.store import Store

UNITS_PER_FILE = 512
WRITERS = 4
FOLDER = "run/plan"
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


def write_units(store: Store, lines: Iterable[str]) -> tuple[int, list[str]]:
    """Write the plan's files while the lines of their units come; the number of units, and each file's SHA-256."""
    count, digests = 0, []

    def write(file: tuple[int, list[str]]) -> tuple[int, str]:
        number, lines = file
        data = _encoded(lines)
        store.write(file_name(number), data)
        return len(lines), hashlib.sha256(data).hexdigest()

    for written, digest in ahead(write, enumerate(_files(lines)), WRITERS, 2 * WRITERS):
        digests.append(digest)
        count += written
    return count, digests


def extend_units(store: Store, lines: Iterable[str]) -> list[tuple[str, str]]:
    """Write files of units that an extension is to name; their names and SHA-256.

    A name has the digest in it: writers of other units write other files, and what no extension names is not read.
    """
    files = []
    for number, held in enumerate(_files(lines)):
        data = _encoded(held)
        digest = hashlib.sha256(data).hexdigest()
        name = f"{FOLDER}/more-{number:06d}-{digest[:16]}.jsonl"
        store.write(name, data)
        files.append((name, digest))
    return files


def add_extension(store: Store, number: int, extension: Extension) -> bool:
    """Make the extension, counted from 1, part of the plan: False if another was first to make one of that number."""
    record = {
        "first": extension.first,
        "units": extension.units,
        "files": [list(file) for file in extension.files],
        "about": extension.about,
    }
    made = store.create_exclusive(f"{FOLDER}/extension-{number:04d}.json", seal(record).encode())
    _extensions.cache_clear()
    return made


def read_extensions(store: Store) -> list[Extension]:
    """The plan's extensions, in the order in which they were made. Raises DamageError for one that is not whole."""
    _extensions.cache_clear()
    return list(_extensions(store.url))


def read_unit(store: Store, index: int) -> Unit:
    """The unit of that index. Raises FileNotFoundError if the plan has no such file, DamageError for a bad line."""
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


def file_name(number: int) -> str:
    return f"{FOLDER}/units-{number:06d}.jsonl"


def _files(lines: Iterable[str]) -> Iterator[list[str]]:
    left = iter(lines)
    while held := list(itertools.islice(left, UNITS_PER_FILE)):
        yield held


def _encoded(lines: Sequence[str]) -> bytes:
    return "".join(line + "\n" for line in lines).encode()


def _place(url: str, index: int) -> tuple[str, int]:
    for extension in _extensions(url):
        if extension.first <= index < extension.first + extension.units:
            number, line = divmod(index - extension.first, UNITS_PER_FILE)
            return extension.files[number][0], line
    number, line = divmod(index, UNITS_PER_FILE)
    return file_name(number), line


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
