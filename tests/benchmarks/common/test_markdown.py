from __future__ import annotations

from benchmarks.common.markdown import markdown_table


def test_table_formats_numbers_by_column():
    table = markdown_table(["a", "b:.1f", "c:,"], [["x", 0.25, 1000], ("y", "as it is", None)])
    lines = ["| a | b | c |", "| --- | --- | --- |", "| x | 0.2 | 1,000 |", "| y | as it is | – |"]
    assert table.splitlines() == lines
