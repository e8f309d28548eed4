"""What a plan is made from, for images and for texts: how the input is read, and what the results depend on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from conf.either import Settings
from conf.pairs import PairsConfig
from pipeline import fingerprint, reading
from pipeline.fingerprint import Models
from stages.examined import Examined


@dataclass(frozen=True)
class Input:
    """``read`` yields blocks of what is good and what is set aside; ``source_digest`` is that of the files' bytes.

    ``identify`` gives the models' fingerprints, and ``settings`` all that results depend on.
    """

    read: Callable[[Any], Iterator[Examined]]
    source_digest: Callable[[Any], str]
    identify: Callable[[Any], Models]
    settings: Callable[[Any, str, Models], dict[str, Any]]


def input_of(config: Settings) -> Input:
    if isinstance(config, PairsConfig):
        # Imported here: who makes images needs no writer.
        from pipeline.pairs import inputs

        return Input(inputs.read, inputs.source_digest, inputs.identify, inputs.settings_of)
    return Input(reading.read, reading.source_digest, fingerprint.identify, fingerprint.settings_of)
