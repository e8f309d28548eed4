"""Correctness of edits, captions, filters and attention maps, known in the mini world."""
