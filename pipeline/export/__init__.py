"""``pairforge export``: writes the samples of a run in the form that trainers read."""
