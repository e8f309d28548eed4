"""``pairforge refilter``: a dataset chosen again, from what a run has stored."""
