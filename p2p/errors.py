"""What can be wrong with a model or a request. Every message is one line that names the thing and the mend."""

from __future__ import annotations


class P2PError(ValueError):
    """A request that cannot be carried out."""


class ModelError(ValueError):
    """A model that is not there, is not supported, or may not be loaded."""
