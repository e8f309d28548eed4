"""The plan's files: units as lines of JSON, so many a file that a worker finds its own by index alone."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict

from stages.records import CaptionPair, Unit
from stages.sealed import DamageError, seal, unseal
from stages.store import Store

UNITS_PER_FILE = 512
FOLDER = "run/plan"


def cut(pairs: Iterable[CaptionPair], unit_pairs: int) -> Iterator[Unit]:
    """Cut ``pairs`` into units in their order."""
    index, held = 0, []
    for pair in pairs:
        held.append(pair)
        if len(held) == unit_pairs:
            yield Unit(index, tuple(held))
            index, held = index + 1, []
    if held:
        yield Unit(index, tuple(held))


def write_units(store: Store, units: Iterable[Unit]) -> tuple[int, list[str]]:
    """Write the plan's files one after the other; the number of units, and each file's SHA-256."""
    count, digests, lines = 0, [], []
    for unit in units:
        pairs = [asdict(pair) for pair in unit.pairs]
        lines.append(seal({"unit": unit.index, "pairs": pairs}))
        count += 1
        if len(lines) == UNITS_PER_FILE:
            digests.append(_write_file(store, len(digests), lines))
            lines = []
    if lines:
        digests.append(_write_file(store, len(digests), lines))
    return count, digests


def read_unit(store: Store, index: int) -> Unit:
    """The unit of that index. Raises FileNotFoundError if the plan has no such file, DamageError for a bad line."""
    number, line = divmod(index, UNITS_PER_FILE)
    lines = _lines(store.url, number)
    name = f"{store.path(file_name(number))}, line {line + 1},"
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


def _write_file(store: Store, number: int, lines: list[str]) -> str:
    data = "".join(line + "\n" for line in lines).encode()
    store.write(file_name(number), data)
    return hashlib.sha256(data).hexdigest()


@functools.lru_cache(maxsize=2)
def _lines(url: str, number: int) -> tuple[str, ...]:
    # A line feed alone ends a line: captions may hold U+2028 and its like, where str.splitlines would cut.
    return tuple(Store(url).read(file_name(number)).decode().removesuffix("\n").split("\n"))
