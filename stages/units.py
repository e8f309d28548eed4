"""The plan's files: units as lines of JSON, so many a file that a worker finds its own by index alone."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict

from stages.records import CaptionPair, Unit
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
        lines.append(json.dumps({"unit": unit.index, "pairs": pairs}, ensure_ascii=False))
        count += 1
        if len(lines) == UNITS_PER_FILE:
            digests.append(_write_file(store, len(digests), lines))
            lines = []
    if lines:
        digests.append(_write_file(store, len(digests), lines))
    return count, digests


def read_unit(store: Store, index: int) -> Unit:
    """The unit of that index. Raises FileNotFoundError or IndexError if the plan has none."""
    lines = _lines(store.url, index // UNITS_PER_FILE)
    return _unit(lines[index % UNITS_PER_FILE])


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


def _unit(line: str) -> Unit:
    record = json.loads(line)
    return Unit(record["unit"], tuple(CaptionPair(**pair) for pair in record["pairs"]))
