"""Sweep over τ: requests, plans, the tree of branches, the denoising step, and the executor that fills batches."""
