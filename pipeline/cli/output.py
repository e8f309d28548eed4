"""How much a run says, and in what form: ``--quiet`` and ``--json`` before or after its settings."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from conf.compose import ConfigError


class Voice(Enum):
    """``terminal``: progress on stderr, the funnel on stdout. ``json``: one JSON object on stdout. ``quiet``: nothing.

    Errors are told in each.
    """

    terminal = ""
    quiet = "--quiet"
    json = "--json"


def split(arguments: Sequence[str]) -> tuple[Voice, list[str]]:
    """The voice that the arguments ask for, and the arguments without it. Raises ConfigError for two."""
    voices = {voice.value: voice for voice in Voice if voice.value}
    asked = [voices[argument] for argument in dict.fromkeys(arguments) if argument in voices]
    if len(asked) > 1:
        raise ConfigError(f"{' and '.join(voice.value for voice in asked)} are two ways to say it: give one")
    rest = [argument for argument in arguments if argument not in voices]
    return (asked[0] if asked else Voice.terminal), rest
