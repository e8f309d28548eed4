"""Parses records into caption pairs, or gives the reason why a record is none."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from json.encoder import encode_basestring as quoted

from stages.captions.fields import Layout, find_layout, roles
from stages.captions.source import CaptionSource
from stages.captions.source_record import SourceRecord, to_json
from stages.records import CaptionPair

_UNUSABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_TEXT = {str}
_KINDS = {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}


def pair_parser(source: CaptionSource) -> Callable[[SourceRecord], CaptionPair | str]:
    """Returns a function from a record to its caption pair, or to the reason why it has none.

    The texts are stripped; all other fields go to `meta`. The pair of a lone caption has no instruction and no output
    caption.
    """
    # The records of a source have few different sets of names.
    split_names = functools.lru_cache(maxsize=1024)(functools.partial(_split_names, source))

    def parse(record: SourceRecord) -> CaptionPair | str:
        fields = record.fields
        if fields is None:
            return record.flaw
        layout, others, template = split_names(tuple(fields))
        if isinstance(layout, str):
            return layout
        values = [fields[name] for name in layout]
        texts = [value.strip() if isinstance(value, str) else "" for value in values]
        # Printable text, which nearly all is, has no flaw.
        if not (all(texts) and "".join(texts).isprintable()):
            for name, value in zip(layout, values, strict=True):
                if flaw := text_flaw(value):
                    return f"field {name!r} {flaw}"
        if source.captions_only:
            texts += ["", ""]
        elif texts[0] == texts[2]:
            return f"fields {layout[0]!r} and {layout[2]!r} are the same text: there is no edit to show"
        more = [fields[name] for name in others]
        # Other fields are plain texts in most inputs: the encoder takes four times as long.
        meta = template % tuple(map(quoted, more)) if _TEXT.issuperset(map(type, more)) else ""
        if not (meta and meta.isascii()):
            try:
                meta = to_json(dict(zip(others, more, strict=True)))
            except RecursionError:
                return "its other fields are nested too deeply"
        return CaptionPair(texts[0], texts[1], texts[2], meta, record.line)

    return parse


def _split_names(source: CaptionSource, names: tuple[str, ...]) -> tuple[Layout | str, list[str], str]:
    """Returns the layout or the reason why there is none, the other names, and the template of their JSON text."""
    layout = find_layout(names, source.fields or {}, roles(source.captions_only))
    if isinstance(layout, str):
        return layout, [], ""
    others = [name for name in names if name not in layout]
    if not _TEXT.issuperset(map(type, others)):
        return layout, others, ""
    others.sort()
    template = ", ".join(f"{quoted(name).replace('%', '%%')}: %s" for name in others)
    return layout, others, f"{{{template}}}"


def text_flaw(value: object) -> str:
    """Returns the reason why a field's value is not usable text; "" if it is."""
    if value is None:
        return "is null, not text"
    if isinstance(value, bytes):
        return "is not UTF-8"
    if not isinstance(value, str):
        return f"is {_KINDS.get(type(value), f'a {type(value).__name__}')}, not text"
    text = value.strip()
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
