"""``pairforge refilter``: chooses a dataset again under other thresholds, from what a run has stored."""
