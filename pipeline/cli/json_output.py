"""What programs read: one line of JSON."""

from __future__ import annotations

import json
from typing import Any


def line(answer: dict[str, Any]) -> str:
    """``answer`` as one line, floats to six digits: more is noise to whoever reads it."""
    return json.dumps(_rounded(answer), ensure_ascii=False)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _rounded(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(inner) for inner in value]
    return round(value, 6) if isinstance(value, float) else value
