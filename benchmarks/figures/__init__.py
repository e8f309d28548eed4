"""Figures of docs/: the paper's, and those of docs/how.md."""
