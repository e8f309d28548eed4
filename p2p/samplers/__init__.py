"""Samplers, one module each, over rows of which each may be at a different step."""
