"""Sections of RESULTS.md that are written by what measures them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write_section(title: str, text: str, path: Path = RESULTS) -> None:
    """Put ``text`` under the heading ``## title``, in place of what stood there, or at the end."""
    section = f"## {title}\n\n{text.strip()}\n"
    whole = path.read_text()
    old = re.compile(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    whole, found = old.subn(lambda _: section + "\n", whole)
    path.write_text(whole.rstrip() + ("\n" if found else f"\n\n{section}"))
