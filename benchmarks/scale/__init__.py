"""Costs that grow with a run: planning, commits, packing, scheduling."""
