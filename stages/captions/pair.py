"""From a record to a caption pair, or to the reason why it is none."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any

from stages.captions.fields import find_layout
from stages.captions.meta import as_json
from stages.records import CaptionPair

_UNUSABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_KINDS = {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}


def pair_reader(fields: Mapping[str, str]) -> Callable[[dict[str, Any], int], CaptionPair | str]:
    """A function from a record and its line to its caption pair, or to a sentence that says what is wrong with it.

    Whitespace around the texts is dropped; the fields that are none of the three go to `meta`.
    """
    # Records of one source have few sets of names: each is looked through once.
    layout_of = functools.lru_cache(maxsize=1024)(lambda names: find_layout(names, fields))

    def read(record: dict[str, Any], line: int) -> CaptionPair | str:
        layout = layout_of(tuple(record))
        if isinstance(layout, str):
            return layout
        texts = []
        for name in layout:
            value = record[name]
            text = value.strip() if isinstance(value, str) else ""
            # Nearly all texts are printable: only the others are looked at closely.
            if not (text and text.isprintable()):
                flaw = _flaw(value, text)
                if flaw:
                    return f"field {name!r} {flaw}"
            texts.append(text)
        source, edit, target = texts
        if source == target:
            return f"fields {layout[0]!r} and {layout[2]!r} are the same text: there is no edit to show"
        if len(record) == 3:
            return CaptionPair(source, edit, target, line=line)
        try:
            meta = as_json({name: value for name, value in record.items() if name not in layout})
        except RecursionError:
            return "its other fields are nested too deeply"
        return CaptionPair(source, edit, target, meta, line)

    return read


def _flaw(value: object, text: str) -> str:
    """What is wrong with a field's value, of which `text` is the stripped text; "" if nothing is."""
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
