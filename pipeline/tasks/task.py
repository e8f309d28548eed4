"""What a plan is made from, for images and for texts: how the input is read, and what the results depend on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from conf.either import Settings
from conf.pairs import PairsConfig
from pipeline.planning import caption_input, run_fingerprint
from pipeline.planning.run_fingerprint import Models
from stages.captions.examined import Examined


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
        from pipeline.tasks import pair_inputs

        return Input(
            pair_inputs.read, pair_inputs.source_digest, pair_inputs.identify, pair_inputs.settings_of
        )
    return Input(
        caption_input.read, caption_input.source_digest, run_fingerprint.identify, run_fingerprint.settings_of
    )
