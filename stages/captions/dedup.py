"""Finds caption pairs that stand in the input twice."""

from __future__ import annotations

from stages.records import CaptionPair


class DuplicateCheck:
    """Remembers where each pair stands first. Ten million pairs take 1.2 GB."""

    def __init__(self) -> None:
        self._places: dict[int, int] = {}
        # Lines are counted on from file to file, so that a place is one small integer.
        self._starts: list[tuple[int, str]] = [(0, "")]
        self._last = 0

    def __call__(self, pair: CaptionPair, file: str) -> str:
        """Returns "" for a new pair, otherwise the reason with the place of the first. Takes pairs in input order."""
        start, last_file = self._starts[-1]
        if last_file != file:
            start = self._last
            self._starts.append((start, file))
        place = self._last = start + pair.line
        first = self._places.setdefault(int(pair.id, 16), place)
        if first == place:
            return ""
        start, first_file = next(entry for entry in reversed(self._starts) if entry[0] < first)
        elsewhere = "" if first_file == file else f" of {first_file}"
        return f"the same caption pair stands on line {first - start}{elsewhere}"
