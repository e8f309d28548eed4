"""Composed settings: validation, absolute paths, and the configuration saved in an output."""
