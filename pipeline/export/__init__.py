"""``pairforge export``: a run's samples in the form that trainers read."""
