"""Output of a command: text for people, one line of JSON for programs (``--json``), or nothing (``--quiet``)."""

from __future__ import annotations

import json
from enum import Enum
from typing import Any

from conf.compose import ConfigError


class OutputMode(Enum):
    """``text``: progress on stderr, the funnel on stdout. ``json``: one JSON object on stdout. ``quiet``: nothing.

    Errors are printed in every mode.
    """

    text = "text"
    quiet = "quiet"
    json = "json"


def output_mode(quiet: bool, json: bool) -> OutputMode:
    """The mode that the options ask for. Raises ConfigError for both."""
    if quiet and json:
        raise ConfigError("--quiet and --json exclude each other: give one of them")
    return OutputMode.quiet if quiet else OutputMode.json if json else OutputMode.text


def json_line(answer: dict[str, Any]) -> str:
    """``answer`` as one line of JSON, floats rounded to six digits."""
    return json.dumps(_rounded(answer), ensure_ascii=False)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _rounded(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(inner) for inner in value]
    return round(value, 6) if isinstance(value, float) else value
