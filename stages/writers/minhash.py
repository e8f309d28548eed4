"""Near-duplicates among caption pairs: by the letters of captions and instruction."""

from __future__ import annotations

from rensa import RMinHash, RMinHashLSH

_RUN = 5
_PERMUTATIONS = 128
_SEED = 1
_BANDS = (2, 4, 8, 16, 32, 64, 128)


def shingles(text: str) -> frozenset[str]:
    """The runs of five letters in a text, case and spacing aside; a shorter text is its own."""
    told = " ".join(text.casefold().split())
    return frozenset(told[at : at + _RUN] for at in range(max(1, len(told) - _RUN + 1)))


def likeness(one: frozenset[str], other: frozenset[str]) -> float:
    """Jaccard's index, in [0, 1]: shared runs over all."""
    return len(one & other) / len(one | other)


class NearAcross:
    """Which texts are almost one that came before: by MinHash (Broder 1997) and its banding, as `rensa` has them.

    A function of the texts and their order.
    """

    def __init__(self, threshold: float) -> None:
        """``threshold``: the estimated likeness, in (0, 1], from which two texts are near."""
        self._threshold = threshold
        self._index = RMinHashLSH(threshold=threshold, num_perm=_PERMUTATIONS, num_bands=bands(threshold))
        self._sketches: list[tuple[str, RMinHash]] = []

    def __call__(self, text: str, group: str) -> bool:
        """Whether it is near one of another group before; if it is not, it is one of those for all that follow."""
        sketch = RMinHash(num_perm=_PERMUTATIONS, seed=_SEED)
        sketch.update(sorted(shingles(text)))
        for before in sorted(self._index.query(sketch)):
            its_group, its_sketch = self._sketches[before]
            if its_group != group and sketch.jaccard(its_sketch) >= self._threshold:
                return True
        self._index.insert(len(self._sketches), sketch)
        self._sketches.append((group, sketch))
        return False


def bands(threshold: float) -> int:
    """Into how many bands a sketch is cut: the fewest that find nearly all pairs which are as like as ``threshold``.

    Two texts of likeness s share one of b bands of r rows with a chance of 1 - (1 - sʳ)ᵇ, which rises where
    s = b^(-1/r) (Leskovec, Rajaraman and Ullman 2014, 3.4.2): that is to be a tenth below the threshold.
    """
    fitting = (b for b in _BANDS if b ** (-b / _PERMUTATIONS) <= 0.9 * threshold)
    return next(fitting, _PERMUTATIONS)
