"""Measures of an image pair beside CLIP, one module a kind."""
