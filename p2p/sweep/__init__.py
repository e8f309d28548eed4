"""The sweep over τ: requests, the tree of branches, and the executor that keeps batches full."""
