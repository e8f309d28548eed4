"""The contact sheet: a row a caption pair, the source and its edits over tau, the kept one framed."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from stages.records import Candidate, Preview

PICTURE, GAP, TEXT_WIDTH, MARGIN = 128, 14, 250, 24
SMALL, LARGE = 12, 16
LINE = SMALL + 4
PAPER, INK, FAINT, KEPT = "#ffffff", "#1b1f24", "#7a828c", "#1a8f4a"
VERDICTS = {
    "": "kept",
    "left_early": "left on the way",
    "clip_sim_0": "source unlike caption",
    "clip_sim_1": "edit unlike caption",
    "clip_sim_dir": "direction too low",
    "clip_sim_image": "too unlike source",
    "other_tau_of_seed": "another tau is better",
    "max_per_pair": "pair has its share",
    "full_decode": "not in full decoding",
    "near_duplicate": "like a better one",
    "no_image": "image not stored",
}


def draw(previews: Sequence[Preview]) -> bytes:
    """A PNG of the previews in their order. ``previews`` is not empty."""
    columns = 1 + max(len(preview.edits) for preview in previews)
    row_height = PICTURE + 3 * LINE + 2 * GAP
    width = 2 * MARGIN + TEXT_WIDTH + columns * (PICTURE + GAP)
    sheet = Image.new("RGB", (width, 2 * MARGIN + row_height * len(previews)), PAPER)
    pen = ImageDraw.Draw(sheet)
    for index, preview in enumerate(previews):
        top = MARGIN + index * row_height
        if index:
            pen.line((MARGIN, top - GAP, width - MARGIN, top - GAP), fill="#e3e6ea")
        _captions(pen, preview, top)
        _cell(sheet, pen, 0, top, preview.source, None)
        for column, (edit, candidate) in enumerate(zip(preview.edits, preview.candidates, strict=True), 1):
            _cell(sheet, pen, column, top, edit, candidate)
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


def _captions(pen: ImageDraw.ImageDraw, preview: Preview, top: int) -> None:
    y = _paragraph(pen, preview.pair.edit, top, LARGE, INK) + 8
    y = _paragraph(pen, preview.pair.input, y, SMALL, FAINT) + 4
    _paragraph(pen, f"to: {preview.pair.output}", y, SMALL, FAINT)


def _paragraph(pen: ImageDraw.ImageDraw, text: str, y: int, size: int, colour: str) -> int:
    """Write ``text`` in the left column, at most four lines; the y below it."""
    font = ImageFont.load_default(size=size)
    lines, line = [], ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if line and pen.textlength(longer, font=font) > TEXT_WIDTH - 2 * GAP:
            lines.append(line)
            longer = word
        line = longer
    for written in [*lines, line][:4]:
        pen.text((MARGIN, y), written, font=font, fill=colour)
        y += size + 4
    return y


def _cell(
    sheet: Image.Image,
    pen: ImageDraw.ImageDraw,
    column: int,
    top: int,
    png: bytes,
    candidate: Candidate | None,
) -> None:
    x = MARGIN + TEXT_WIDTH + column * (PICTURE + GAP)
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture.thumbnail((PICTURE, PICTURE), Image.Resampling.LANCZOS)
    scale = max(1, PICTURE // max(picture.size))
    picture = picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.BICUBIC)
    sheet.paste(picture, (x, top))
    font = ImageFont.load_default(size=SMALL)
    below = top + PICTURE + 6
    if candidate is None:
        pen.text((x, below), "source", font=font, fill=INK)
        return
    colour = KEPT if candidate.kept else FAINT
    if candidate.kept:
        pen.rectangle((x - 4, top - 4, x + PICTURE + 3, top + PICTURE + 3), outline=KEPT, width=4)
    pen.text((x, below), f"tau {candidate.tau:.2g}", font=font, fill=INK)
    scores = f"dir {candidate.clip_sim_dir:.2f}   image {candidate.clip_sim_image:.2f}"
    pen.text((x, below + LINE), scores, font=font, fill=INK)
    pen.text((x, below + 2 * LINE), _verdict(candidate), font=font, fill=colour)


def _verdict(candidate: Candidate) -> str:
    """In words; the reasons that are not of this program's choice are the names of measures."""
    return VERDICTS.get(candidate.reason, f"{candidate.reason} out of bounds")
