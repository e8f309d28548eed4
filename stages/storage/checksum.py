"""Records as one line of JSON with its own digest: what was cut off or edited by hand is told from what was written."""

from __future__ import annotations

import hashlib
import json
from typing import Any

SEAL = "sha256"


class DamageError(ValueError):
    """A file of the output is not what was written: one line that names it and the mend."""


def seal(record: dict[str, Any]) -> str:
    """One line of JSON, without its end; ``record`` has no ``sha256`` of its own."""
    return _text({**record, SEAL: _digest(record)})


def seal_text(text: str) -> str:
    """``seal`` for a record that is JSON already: an object that is not empty, its keys sorted at every depth."""
    return f'{text[:-1]}, "{SEAL}": "{hashlib.sha256(text.encode()).hexdigest()}"}}'


def unseal(text: str | bytes, name: str) -> dict[str, Any]:
    """The record that ``seal`` was given. Raises DamageError, naming ``name``, if it is another or none."""
    try:
        record = json.loads(text)
        sealed = record.pop(SEAL)
    except (ValueError, KeyError, AttributeError, TypeError):
        sealed, record = "", {}
    if sealed != _digest(record):
        raise DamageError(
            f"{name} is not what was written (cut off, or edited): pairforge repair OUT makes it anew"
        )
    return dict(record)


def _digest(record: dict[str, Any]) -> str:
    return hashlib.sha256(_text(record).encode()).hexdigest()


def _text(record: dict[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False, sort_keys=True)
