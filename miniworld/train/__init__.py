"""Training recipes of the mini world's models, one module a model."""
