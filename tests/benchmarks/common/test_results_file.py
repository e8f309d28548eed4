from __future__ import annotations

from pathlib import Path

from benchmarks.common.results_file import write_section


def test_section_is_replaced_and_others_stay(tmp_path: Path):
    path = tmp_path / "RESULTS.md"
    path.write_text("# All\n\n## One (`a`)\n\nold\n\n### Below\n\nold, too\n\n## Two\n\nstays\n")
    write_section("One (`a`)", "new \\1\n", path)
    assert path.read_text() == "# All\n\n## One (`a`)\n\nnew \\1\n\n## Two\n\nstays\n"
    write_section("Two", "changed", path)
    write_section("Three", "added", path)
    expected = "# All\n\n## One (`a`)\n\nnew \\1\n\n## Two\n\nchanged\n\n## Three\n\nadded\n"
    assert path.read_text() == expected
    write_section("Three", "added", path)
    assert path.read_text() == expected
