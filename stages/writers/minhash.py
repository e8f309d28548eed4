"""Finds near-duplicates among caption pairs by the letters of captions and instruction."""

from __future__ import annotations

from rensa import RMinHash, RMinHashLSH

_RUN = 5
_PERMUTATIONS = 128
_SEED = 1
_BANDS = (2, 4, 8, 16, 32, 64, 128)


def shingles(text: str) -> frozenset[str]:
    """Returns the runs of five letters in a text, ignoring case and spacing; a shorter text is one run."""
    letters = " ".join(text.casefold().split())
    return frozenset(letters[at : at + _RUN] for at in range(max(1, len(letters) - _RUN + 1)))


def likeness(one: frozenset[str], other: frozenset[str]) -> float:
    """Returns Jaccard's index in [0, 1]: shared runs over all runs."""
    return len(one & other) / len(one | other)


class NearAcross:
    """Finds texts that are nearly equal to an earlier text, by MinHash (Broder 1997) and its banding from `rensa`.

    The result is a function of the texts and their order.
    """

    def __init__(self, threshold: float) -> None:
        """``threshold`` is the least estimated likeness, in (0, 1], of near-duplicates."""
        self._threshold = threshold
        self._index = RMinHashLSH(threshold=threshold, num_perm=_PERMUTATIONS, num_bands=bands(threshold))
        self._sketches: list[tuple[str, RMinHash]] = []

    def __call__(self, text: str, group: str) -> bool:
        """Returns whether the text is near an earlier text of another group; remembers it if it is not."""
        sketch = RMinHash(num_perm=_PERMUTATIONS, seed=_SEED)
        sketch.update(sorted(shingles(text)))
        for index in sorted(self._index.query(sketch)):
            other_group, other_sketch = self._sketches[index]
            if other_group != group and sketch.jaccard(other_sketch) >= self._threshold:
                return True
        self._index.insert(len(self._sketches), sketch)
        self._sketches.append((group, sketch))
        return False


def bands(threshold: float) -> int:
    """Returns the number of bands of a sketch: the fewest that find nearly all pairs with the ``threshold`` likeness.

    Two texts of likeness s share one of b bands of r rows with a chance of 1 - (1 - sʳ)ᵇ, which rises where
    s = b^(-1/r) (Leskovec, Rajaraman and Ullman 2014, 3.4.2). The bands put this point a tenth below the threshold.
    """
    fitting = (b for b in _BANDS if b ** (-b / _PERMUTATIONS) <= 0.9 * threshold)
    return next(fitting, _PERMUTATIONS)
