"""A record's other fields as JSON text: canonical, and valid whatever the source held."""

from __future__ import annotations

import json
import math
from json.encoder import encode_basestring as quoted
from typing import Any


def as_json(fields: dict[str, Any]) -> str:
    """JSON with sorted keys. What JSON has no form for (dates, decimals, NaN) becomes text."""
    if len(fields) == 1:
        # Most often a URL or a kind: the encoder takes three times as long.
        ((name, value),) = fields.items()
        if type(value) is str and type(name) is str and name.isprintable() and value.isprintable():
            return f"{{{quoted(name)}: {quoted(value)}}}"
    try:
        text = _ENCODER.encode(fields)
    except ValueError:
        text = _ENCODER.encode(_finite(fields))
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            # Half of a surrogate pair has no bytes in UTF-8; escaped it has.
            text = json.dumps(json.loads(text), sort_keys=True)
    return text


def _as_text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, allow_nan=False, default=_as_text)
