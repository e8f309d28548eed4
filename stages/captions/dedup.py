"""Where each id was seen first, for tens of millions of ids."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]
_AT_ONCE = 1 << 12
_HIGH, _ODD = np.uint64(32), np.uint64(1)


class FirstPlaces:
    """A table from ids of 64 bits to places, both unsigned, in 16 bytes a slot.

    A dict of Python's integers takes seven times that. The ids are digests: their low bits are spread evenly, so
    they serve as the slot, and the high ones as the step from it to the next (open addressing, double hashing, at most
    70 % full).
    """

    def __init__(self) -> None:
        self._count = 0
        self._allocate(1 << 10)

    def places_of(self, names: Words, places: Words) -> Words:
        """The place at which each name was first seen, or 0 where this is the first time.

        Args:
            names: (N,) uint64 ids, in the order in which they are seen.
            places: (N,) uint64, above 0; that of an id seen for the first time is remembered.
        """
        once, first, which = np.unique(names, return_index=True, return_inverse=True)
        while 10 * (self._count + len(once)) > 7 * len(self._table):
            self._grow()
        before = self._find_or_add(once, places[first])
        found = np.where(before > 0, before, places[first])[which]
        found[first[before == 0]] = 0
        return found

    def __len__(self) -> int:
        return self._count

    def _find_or_add(self, names: Words, places: Words) -> Words:
        """What stands at each of ``names``, no two the same; where nothing does, 0, and its place does from now on."""
        found = np.zeros_like(places)
        left, slots = np.arange(len(names)), names & self._mask
        while len(left):
            at = names[left]
            held, there = self._table[slots].T
            same, free = (there > 0) & (held == at), there == 0
            found[left[same]] = there[same]
            # Several may want one free slot: all write their names, and the one whose name stays has it.
            self._table[slots[free], 0] = at[free]
            added = free & (self._table[slots, 0] == at)
            self._table[slots[added], 1] = places[left[added]]
            self._count += int(np.count_nonzero(added))
            on = ~(same | added)
            # Not to the next one: a thousand names at once take as many rounds as the one that has it farthest, a third
            # of what that is where full slots lie side by side.
            left, slots = left[on], (slots[on] + (at[on] >> _HIGH | _ODD)) & self._mask
        return found

    def _grow(self) -> None:
        table = self._table
        self._count = 0
        self._allocate(2 * len(table))
        for start in range(0, len(table), _AT_ONCE):
            names, places = table[start : start + _AT_ONCE].T
            self._find_or_add(names[places > 0], places[places > 0])

    def _allocate(self, slots: int) -> None:
        self._mask = np.uint64(slots - 1)
        # A name and its place lie side by side: whoever fetches the one has the other.
        self._table = np.zeros((slots, 2), np.uint64)
