"""Benchmarks by what they measure; `python -m benchmarks` lists them."""
