"""Writes sections of RESULTS.md."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

RESULTS = Path(__file__).parents[1] / "RESULTS.md"
FIGURES = Path(__file__).parents[2] / "docs" / "figures"


def publish(title: str, text: str) -> None:
    """Print ``text`` and write it, with today's date, into the section ``title`` of RESULTS.md."""
    print(text)
    write_section(title, f"Measured on {date.today().isoformat()}. {text}")


def write_section(title: str, text: str, path: Path = RESULTS) -> None:
    """Replace the section under the heading ``## title`` by ``text``, or append it at the end."""
    section = f"## {title}\n\n{text.strip()}\n"
    results = path.read_text()
    old = re.compile(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    results, count = old.subn(lambda _: section + "\n", results)
    path.write_text(results.rstrip() + ("\n" if count else f"\n\n{section}"))
