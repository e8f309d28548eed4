"""Candidates of a caption pair: requests, adaptive rounds, scoring, selection."""
