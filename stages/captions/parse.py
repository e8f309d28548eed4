"""From rows to caption pairs, or to the reasons why they are none."""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stages.captions.fields import Layout, find_layout
from stages.captions.meta import as_json
from stages.captions.source_record import Block
from stages.records import CaptionPair, Texts, caption_pairs, escaped_pairs

LayoutOf = Callable[[tuple[str, ...]], Layout | str]

_UNUSABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_KINDS = {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}


def pair_reader(fields: Mapping[str, str]) -> Callable[[Block], list[CaptionPair | str]]:
    """A function from a block to the caption pair of each row, or to a sentence that says what is wrong with it.

    Whitespace around the texts is dropped; the fields that are none of the three go to `meta`.
    """
    # Records of one source have few sets of names: each is looked through once.
    layout_of = functools.lru_cache(maxsize=1024)(lambda names: find_layout(names, fields))

    def read(block: Block) -> list[CaptionPair | str]:
        # Nearly all blocks hold nothing that must be looked at closely; of any other, each row is by itself.
        alike = _alike(block.columns, block.lines, layout_of) if block.columns else None
        if alike is not None:
            return list(alike)
        rows = map(block.row, block.lines)
        found = [row.flaw if row.record is None else _read(row.record, layout_of) for row in rows]
        good = [
            (texts, line)
            for texts, line in zip(found, block.lines, strict=True)
            if not isinstance(texts, str)
        ]
        pairs = iter(caption_pairs([texts for texts, _ in good], [line for _, line in good]))
        return [texts if isinstance(texts, str) else next(pairs) for texts in found]

    return read


def _alike(
    columns: Mapping[str, Sequence[str]], lines: Sequence[int], layout_of: LayoutOf
) -> list[CaptionPair] | None:
    """The pairs of a block's rows, or None if any of them is none."""
    layout = layout_of(tuple(columns))
    if isinstance(layout, str):
        return None
    sources, edits, targets = (list(map(str.strip, columns[name])) for name in layout)
    if not (all(sources) and all(edits) and all(targets)) or any(map(operator.eq, sources, targets)):
        return None
    # Plain texts stand in JSON as they are; of other fields' names and texts only the quotation marks are escaped.
    metas = escaped = ["{}"] * len(sources)
    if len(columns) > 3:
        others = sorted(columns.keys() - set(layout))
        template = "{" + ", ".join(f'"{name.replace("%", "%%")}": "%s"' for name in others) + "}"
        fields = list(zip(*(columns[name] for name in others), strict=True))
        metas = list(map(template.__mod__, fields))
        escaped = list(map(template.replace('"', '\\"').__mod__, fields))
    return escaped_pairs(
        zip(sources, edits, targets, metas, sources, edits, targets, escaped, lines, strict=True)
    )


def _read(record: dict[str, Any], layout_of: LayoutOf) -> Texts | str:
    layout = layout_of(tuple(record))
    if isinstance(layout, str):
        return layout
    texts = []
    for name in layout:
        value = record[name]
        text = value.strip() if isinstance(value, str) else ""
        # Nearly all texts are printable: only the others are looked at closely.
        if not (text and text.isprintable()):
            flaw = text_flaw(value, text)
            if flaw:
                return f"field {name!r} {flaw}"
        texts.append(text)
    source, edit, target = texts
    if source == target:
        return f"fields {layout[0]!r} and {layout[2]!r} are the same text: there is no edit to show"
    if len(record) == 3:
        return source, edit, target, "{}"
    try:
        meta = as_json({name: value for name, value in record.items() if name not in layout})
    except RecursionError:
        return "its other fields are nested too deeply"
    return source, edit, target, meta


def text_flaw(value: object, text: str) -> str:
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
