"""Caption pairs from a module of one's own."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Protocol, cast

from stages.captions.source import CaptionsError, CaptionSource
from stages.captions.source_record import Row, until_broken


class OwnCaptions(Protocol):
    """A module outside this package."""

    def records(self, source: CaptionSource) -> Iterable[Mapping[str, Any]]:
        """The source's rows, each its fields by their names, as a line of JSON has them; the same each time, in the
        same order. It may raise whatever it likes."""


def open_own(source: CaptionSource, known: Collection[str]) -> Iterator[Row]:
    """The module's records as rows, counted from 1.

    Raises:
        CaptionsError: the kind is neither one of ``known`` nor a module with ``records``; on reading where it breaks
            off before the first row.
    """
    # Imported here: with it come libraries that nobody else has to wait for.
    from p2p.plugins import load_plugin

    module = cast(OwnCaptions, load_plugin("captions.kind", source.kind, ("records",), CaptionsError, known))
    return until_broken(_rows(module, source), source.path, (Exception,))


def _rows(module: OwnCaptions, source: CaptionSource) -> Iterator[Row]:
    for number, record in enumerate(module.records(source), 1):
        if isinstance(record, Mapping):
            yield Row(source.path, number, dict(record))
        else:
            flaw = f"not an object with fields but {type(record).__name__}"
            yield Row(source.path, number, None, flaw, repr(record).encode())
