"""From rows to captions alone, of which a language model is to write pairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from stages.captions.fields import CAPTION, find_layout
from stages.captions.meta import as_json
from stages.captions.parse import text_flaw
from stages.captions.source_record import Block, Row
from stages.records import CaptionPair, Texts, caption_pairs


def caption_reader(fields: Mapping[str, str]) -> Callable[[Block], list[CaptionPair | str]]:
    """A function from a block to the caption of each row, or to a sentence that says what is wrong with it.

    A caption is a caption pair whose instruction and output caption are empty; its id is that pair's. Whitespace around
    it is dropped; all other fields go to `meta`.
    """

    def read(block: Block) -> list[CaptionPair | str]:
        found = [_read(block.row(line), fields) for line in block.lines]
        good = [index for index, texts in enumerate(found) if not isinstance(texts, str)]
        captions = iter(
            caption_pairs([found[index] for index in good], [block.lines[index] for index in good])  # type: ignore[misc]
        )
        return [texts if isinstance(texts, str) else next(captions) for texts in found]

    return read


def _read(row: Row, fields: Mapping[str, str]) -> Texts | str:
    if row.record is None:
        return row.flaw
    layout = find_layout(tuple(row.record), fields, CAPTION)
    if isinstance(layout, str):
        return layout
    (name,) = layout
    value = row.record[name]
    text = value.strip() if isinstance(value, str) else ""
    flaw = text_flaw(value, text)
    if flaw:
        return f"field {name!r} {flaw}"
    try:
        meta = as_json({other: item for other, item in row.record.items() if other != name})
    except RecursionError:
        return "its other fields are nested too deeply"
    return text, "", "", meta
