"""Reads caption pairs from a user's module."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Protocol, cast

from stages.captions.source import CaptionsError, CaptionSource, SourceRecord, until_broken


class OwnCaptions(Protocol):
    """The interface of a user's module."""

    def records(self, source: CaptionSource) -> Iterable[Mapping[str, Any]]:
        """Yields the source's records as values by field name, the same records in the same order each time.

        It may raise any error.
        """


def open_module(source: CaptionSource, known: Collection[str]) -> Iterator[SourceRecord]:
    """Yields the module's records, counted from 1.

    Raises:
        CaptionsError: the kind is neither one of ``known`` nor a module with ``records``, or reading fails before the
            first record.
    """
    # Imported here: p2p loads libraries that other sources do not need.
    from p2p.plugins import load_plugin

    module = cast(OwnCaptions, load_plugin("captions.kind", source.kind, ("records",), CaptionsError, known))
    return until_broken(_records(module, source), source.path, (Exception,))


def _records(module: OwnCaptions, source: CaptionSource) -> Iterator[SourceRecord]:
    for number, fields in enumerate(module.records(source), 1):
        if isinstance(fields, Mapping):
            yield SourceRecord(source.path, number, dict(fields))
        else:
            flaw = f"not an object with fields but {type(fields).__name__}"
            yield SourceRecord(source.path, number, None, flaw, repr(fields).encode())
