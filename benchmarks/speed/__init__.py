"""Time and memory of one sweep, on a CPU or a GPU."""
