"""Writes sections of RESULTS.md."""

from __future__ import annotations

import os
import platform
import re
from datetime import date
from pathlib import Path

RESULTS = Path(__file__).parents[1] / "RESULTS.md"
FIGURES = Path(__file__).parents[2] / "docs" / "figures"


def publish(title: str, module: str, text: str) -> None:
    """Print ``text`` and write it into the section ``title`` of RESULTS.md, below the command, date and machine."""
    print(text)
    cpu = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    machine = f"{os.cpu_count()} cores of {cpu[1].strip() if cpu else platform.machine()}"
    write_section(title, f"`python -m {module}`, {date.today().isoformat()}, {machine}.\n\n{text}")


def write_section(title: str, text: str, path: Path = RESULTS) -> None:
    """Replace the section under the heading ``## title`` by ``text``, or append it at the end."""
    section = f"## {title}\n\n{text.strip()}\n"
    results = path.read_text()
    old = re.compile(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    results, count = old.subn(lambda _: section + "\n", results)
    path.write_text(results.rstrip() + ("\n" if count else f"\n\n{section}"))
