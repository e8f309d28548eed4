"""Where each id was seen first, for tens of millions of ids."""

from __future__ import annotations

from array import array


class FirstPlaces:
    """A table from ids of 64 bits to places, both unsigned, in 16 bytes a slot.

    A dict of Python's integers takes seven times that. The ids are digests: their low bits are spread evenly, so
    they serve as the slot (open addressing, linear probing, at most 70 % full).
    """

    def __init__(self) -> None:
        self._count = 0
        self._allocate(1 << 10)

    def place_of(self, name: int, place: int) -> int:
        """The place at which `name` was first seen, or 0 if this is the first time; then it is `place`, above 0."""
        slot = self._slot(name)
        if self._places[slot]:
            return self._places[slot]
        self._names[slot], self._places[slot] = name, place
        self._count += 1
        if 10 * self._count > 7 * len(self._names):
            self._grow()
        return 0

    def __len__(self) -> int:
        return self._count

    def _slot(self, name: int) -> int:
        names, places, mask = self._names, self._places, self._mask
        slot = name & mask
        while places[slot] and names[slot] != name:
            slot = (slot + 1) & mask
        return slot

    def _grow(self) -> None:
        names, places = self._names, self._places
        self._allocate(2 * len(names))
        for name, place in zip(names, places, strict=True):
            if place:
                slot = self._slot(name)
                self._names[slot], self._places[slot] = name, place

    def _allocate(self, slots: int) -> None:
        self._mask = slots - 1
        self._names = array("Q", [0]) * slots
        self._places = array("Q", [0]) * slots
