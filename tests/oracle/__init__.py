"""Prompt-to-Prompt the naive way, for comparison: maps materialised and edited, one pair of branches at a time."""
