"""Reads the code blocks of the pages, so that tests run them unchanged."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def snippet(document: str, name: str) -> str:
    """The Python block below ``<!-- test: NAME -->`` in ``docs/DOCUMENT``."""
    text = (ROOT / "docs" / document).read_text()
    (block,) = re.findall(rf"<!-- test: {name} -->\n```python\n(.*?)```", text, re.DOTALL)
    return str(block)
