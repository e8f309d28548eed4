"""The settings of either kind of run: one that makes samples, or one that writes caption pairs."""

from collections.abc import Iterable
from dataclasses import fields

from conf.pairs import PairsConfig
from conf.schema import Config

Settings = Config | PairsConfig


def schema_of(keys: Iterable[object]) -> type[Settings]:
    """Return the schema that has most of these top-level keys."""
    names = set(keys)
    return max(
        (Config, PairsConfig), key=lambda schema: len(names & {entry.name for entry in fields(schema)})
    )
