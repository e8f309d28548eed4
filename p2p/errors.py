"""Errors of models and requests. Every message is one line that names the thing and the fix."""

from __future__ import annotations


class P2PError(ValueError):
    """A request that cannot be carried out."""


class ModelError(ValueError):
    """A model that does not exist, is not supported, or may not be loaded."""
