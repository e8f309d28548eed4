"""Output of a command: text for people, one line of JSON for programs (``--json``), or nothing (``--quiet``)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

from conf.config_errors import ConfigError


class OutputMode(Enum):
    """``text``: progress on stderr, the funnel on stdout. ``json``: one JSON object on stdout. ``quiet``: nothing.

    Errors are printed in every mode.
    """

    text = "text"
    quiet = "quiet"
    json = "json"

    @property
    def of_parts(self) -> OutputMode:
        """The mode of what a command runs, if the command prints one JSON object of its own."""
        return self if self is OutputMode.text else OutputMode.quiet

    def say(self, *lines: object) -> None:
        """Print lines for people."""
        if self is OutputMode.text:
            print(*lines, sep="\n", flush=True)

    def answer(self, *steps: dict[str, Any]) -> None:
        """Print the JSON object of a command. Of an output with two steps, the first one's is in ``written``."""
        if self is OutputMode.json:
            print(json_line(_merged(steps)))

    def answer_runs(self, out: str, runs: Mapping[str, Sequence[dict[str, Any]]]) -> None:
        """Print the JSON object of a command on ``out``, or on the runs of a sweep in ``out``: the steps of each."""
        if [*runs] == [out]:
            self.answer(*runs[out])
        elif self is OutputMode.json:
            print(json_line({"out": out, "runs": [_merged(steps) for steps in runs.values()]}))


def _merged(steps: Sequence[dict[str, Any]]) -> dict[str, Any]:
    *first, last = steps
    return {**last, **({"written": first[0]} if first else {})}


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
