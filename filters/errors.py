"""The one kind of error that this package raises for bad input."""

from __future__ import annotations


class FilterError(ValueError):
    """A CLIP that cannot be loaded, or input that cannot be scored: one line that names it and the mend."""
