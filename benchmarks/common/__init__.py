"""Code shared by the benchmarks: tables, RESULTS.md, peak memory."""
