"""Parses records into caption pairs, or gives the reason why a record is none."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

from stages.captions.fields import find_layout, roles
from stages.captions.source import CaptionSource
from stages.captions.source_record import SourceRecord, to_json
from stages.records import CaptionPair

_UNUSABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_KINDS = {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}


def pair_parser(source: CaptionSource) -> Callable[[SourceRecord], CaptionPair | str]:
    """Returns a function from a record to its caption pair, or to the reason why it has none.

    The texts are stripped; all other fields go to `meta`. The pair of a lone caption has no instruction and no output
    caption.
    """
    # The records of a source have few different sets of names.
    layout_of = functools.lru_cache(maxsize=1024)(
        lambda names: find_layout(names, source.fields or {}, roles(source.captions_only))
    )

    def parse(record: SourceRecord) -> CaptionPair | str:
        if record.fields is None:
            return record.flaw
        layout = layout_of(tuple(record.fields))
        if isinstance(layout, str):
            return layout
        texts = []
        for name in layout:
            value = record.fields[name]
            text = value.strip() if isinstance(value, str) else ""
            # Printable text, which nearly all is, has no flaw.
            if not (text and text.isprintable()) and (flaw := text_flaw(value, text)):
                return f"field {name!r} {flaw}"
            texts.append(text)
        if source.captions_only:
            texts += ["", ""]
        elif texts[0] == texts[2]:
            return f"fields {layout[0]!r} and {layout[2]!r} are the same text: there is no edit to show"
        try:
            meta = to_json({name: value for name, value in record.fields.items() if name not in layout})
        except RecursionError:
            return "its other fields are nested too deeply"
        return CaptionPair(texts[0], texts[1], texts[2], meta, record.line)

    return parse


def text_flaw(value: object, text: str) -> str:
    """Returns the flaw of a field's value, whose stripped text is ``text``; "" if there is none."""
    if value is None:
        return "is null, not text"
    if isinstance(value, bytes):
        return "is not UTF-8"
    if not isinstance(value, str):
        return f"is {_KINDS.get(type(value), f'a {type(value).__name__}')}, not text"
    if not text:
        return "is empty"
    unusable = _UNUSABLE.search(text)
    if unusable:
        code = ord(unusable[0])
        kind = "half of a surrogate pair" if code >= 0xD800 else "a control character"
        return f"holds {kind} (U+{code:04X})"
    if not any(letter.isprintable() and not letter.isspace() for letter in text):
        return "has nothing that can be seen"
    return ""
