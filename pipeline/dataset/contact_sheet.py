"""Contact sheet: a line for each caption pair with its source and its edits over tau; kept edits have a frame."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pipeline.dataset.funnel import label_reason
from stages.formats import previews
from stages.records import Candidate, Preview
from stages.storage.commits import read_part
from stages.storage.store import Store

SHEET = "contact-sheet.png"
PICTURE, GAP, TEXT_WIDTH, MARGIN = 128, 14, 250, 24
SMALL, LARGE = 12, 16
LINE = SMALL + 4
TOLERANCE = 0.1
"""The largest change of a channel, of 1, of a pixel that is not in a mask."""
PAPER, INK, FAINT, KEPT, RULE = "#ffffff", "#1b1f24", "#7a828c", "#1a8f4a", "#e3e6ea"


def read_previews(
    store: Store, commits: Iterable[dict[str, Any]], kind: str = "previews"
) -> Iterator[Preview]:
    """The previews of the commits, or their thumbnails, in order. Raises DamageError for a damaged part."""
    for commit in commits:
        part = read_part(store, commit, kind)
        if part is not None:
            yield from previews.from_bytes(part)


def draw(shown: Sequence[Preview]) -> bytes:
    """A PNG of the previews, of which there is at least one."""
    # Pairs with an image have two more columns: its reconstruction, and the mask of what the best edit changes.
    pictured = any(preview.other for preview in shown)
    first = 2 if pictured else 1
    columns = first + max(len(preview.edits) for preview in shown) + pictured
    height = PICTURE + 3 * LINE + 2 * GAP
    width = 2 * MARGIN + TEXT_WIDTH + columns * (PICTURE + GAP)
    sheet = Image.new("RGB", (width, 2 * MARGIN + height * len(shown)), PAPER)
    pen = ImageDraw.Draw(sheet)
    for index, preview in enumerate(shown):
        top = MARGIN + index * height
        if index:
            pen.line((MARGIN, top - GAP, width - MARGIN, top - GAP), fill=RULE)
        _captions(pen, preview, top)
        _cell(sheet, pen, 0, top, preview.source, source_name(preview))
        if preview.other:
            _cell(sheet, pen, 1, top, preview.other[1], preview.other[0])
        for column, (edit, candidate) in enumerate(
            zip(preview.edits, preview.candidates, strict=True), first
        ):
            _cell(sheet, pen, column, top, edit, candidate)
        if preview.other:
            mask, name = draw_mask(preview)
            _cell(sheet, pen, columns - 1, top, mask, name)
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


def draw_mask(preview: Preview) -> tuple[bytes, str]:
    """The mask of the pixels that the best edit changes, as a PNG, white on black, and its name."""
    best = max(preview.candidates, key=lambda candidate: (candidate.kept, candidate.clip_sim_dir))
    source, edit = (
        np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
        for png in (preview.source, preview.edits[preview.candidates.index(best)])
    )
    mask = (np.abs(source - edit).max(-1) > TOLERANCE * 255).astype(np.uint8) * 255
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, "PNG")
    return buffer.getvalue(), f"changed, tau {best.tau:.2g}"


def source_name(preview: Preview) -> str:
    """The name of the source beside its edits: the original, if its reconstruction is shown too."""
    return "original" if preview.other and preview.other[0] == "reconstruction" else "source"


def _captions(pen: ImageDraw.ImageDraw, preview: Preview, top: int) -> None:
    y = _paragraph(pen, preview.pair.edit, top, LARGE, INK) + 8
    y = _paragraph(pen, preview.pair.input, y, SMALL, FAINT) + 4
    _paragraph(pen, f"to: {preview.pair.output}", y, SMALL, FAINT)


def _paragraph(pen: ImageDraw.ImageDraw, text: str, y: int, size: int, colour: str) -> int:
    """Draw ``text`` in the left column, at most four lines; returns the y below it."""
    font = ImageFont.load_default(size=size)
    lines, line = [], ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if line and pen.textlength(longer, font=font) > TEXT_WIDTH - 2 * GAP:
            lines.append(line)
            longer = word
        line = longer
    lines.append(line)
    for text_line in lines[:4]:
        pen.text((MARGIN, y), text_line, font=font, fill=colour)
        y += size + 4
    return y


def _cell(
    sheet: Image.Image, pen: ImageDraw.ImageDraw, column: int, top: int, png: bytes, edit: Candidate | str
) -> None:
    """Draw a picture and the text below it: of an edit, or the name of another one."""
    x, below = MARGIN + TEXT_WIDTH + column * (PICTURE + GAP), top + PICTURE + 6
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture.thumbnail((PICTURE, PICTURE), Image.Resampling.LANCZOS)
    scale = max(1, PICTURE // max(picture.size))
    picture = picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.BICUBIC)
    sheet.paste(picture, (x, top))
    if isinstance(edit, str):
        lines = [(edit, INK)]
    else:
        lines = [
            (f"tau {edit.tau:.2g}", INK),
            (f"dir {edit.clip_sim_dir:.2f}   image {edit.clip_sim_image:.2f}", INK),
            (label_reason(edit.reason), KEPT if edit.kept else FAINT),
        ]
        if edit.kept:
            pen.rectangle((x - 4, top - 4, x + PICTURE + 3, top + PICTURE + 3), outline=KEPT, width=4)
    font = ImageFont.load_default(size=SMALL)
    for index, (text, colour) in enumerate(lines):
        pen.text((x, below + index * LINE), text, font=font, fill=colour)
