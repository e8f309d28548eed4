"""Near-duplicates among caption pairs: by the letters of captions and instruction."""

from __future__ import annotations

from datasketch import MinHash, MinHashLSH

_RUN = 5
_PERMUTATIONS = 128
_SEED = 1


def shingles(text: str) -> frozenset[str]:
    """The runs of five letters in a text, case and spacing aside; a shorter text is its own."""
    told = " ".join(text.casefold().split())
    return frozenset(told[at : at + _RUN] for at in range(max(1, len(told) - _RUN + 1)))


def likeness(one: frozenset[str], other: frozenset[str]) -> float:
    """Jaccard's index, in [0, 1]: shared runs over all."""
    return len(one & other) / len(one | other)


class NearAcross:
    """Which texts are almost one that came before: by MinHash (Broder 1997) and its banding, as `datasketch` has them.

    A function of the texts and their order.
    """

    def __init__(self, threshold: float) -> None:
        """``threshold``: the estimated likeness, in (0, 1], from which two texts are near."""
        self._threshold = threshold
        self._index = MinHashLSH(threshold=threshold, num_perm=_PERMUTATIONS)
        self._sketches: dict[str, tuple[str, MinHash]] = {}

    def __call__(self, key: str, text: str, group: str) -> bool:
        """Whether it is near one of another group before; if it is not, it is one of those for all that follow."""
        sketch = MinHash(num_perm=_PERMUTATIONS, seed=_SEED)
        sketch.update_batch([run.encode() for run in sorted(shingles(text))])
        for before in self._index.query(sketch):
            its_group, its_sketch = self._sketches[before]
            if its_group != group and sketch.jaccard(its_sketch) >= self._threshold:
                return True
        self._index.insert(key, sketch)
        self._sketches[key] = (group, sketch)
        return False
