"""The pictures of the page: kept pairs, τ strips and misses, as plain values for its script."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from PIL import Image

from pipeline.dataset.funnel import worded
from pipeline.report import attention_gallery, examples
from pipeline.report.data import Facts
from stages.candidates.scoring import CLIP_SCORES
from stages.formats import previews, tar
from stages.kinds import kind_of
from stages.records import Preview
from stages.storage.store import Store
from stages.write import read_part

SIDE, QUALITY = 256, 80
STRIPS = 24
# Of the page's 10 MB: base64 takes a third more than the pictures.
BUDGET = 8_000_000


class Thumbnails:
    """Makes data URIs until the page has its share of bytes; None from then on."""

    def __init__(self, budget: int = BUDGET) -> None:
        self.left = budget

    def __call__(self, encoded: bytes) -> str | None:
        """``encoded`` is any image file; at most 256 pixels a side come of it, WebP."""
        if self.left <= 0:
            return None
        picture = Image.open(io.BytesIO(encoded)).convert("RGB")
        picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        picture.save(buffer, "WEBP", quality=QUALITY)
        uri = "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
        self.left -= len(uri)
        return uri


def gallery(store: Store, facts: Facts, thumbnail: Thumbnails) -> dict[str, list[dict[str, Any]]]:
    """Cards by list: kept, strips, near, worst; of the last two alone, and bare, where the parts were deleted.

    Raises PartError for a damaged part.
    """
    thresholds = {name: getattr(facts.config.filter, name) for name in CLIP_SCORES}
    near, worst = examples.missed(facts.scores, thresholds)
    shown = list(_previews(store, facts)) if facts.pictures else []
    by_candidate = {
        (one.pair.id, candidate.sample_index, candidate.tau): (one.source, edit)
        for one in shown
        for candidate, edit in zip(one.candidates, one.edits, strict=True)
    }
    strips = [_strip(one, thumbnail) for one in shown[:STRIPS]]
    return {
        "strips": strips,
        "near": [_missed(facts, row, by_candidate, thumbnail) for row in near],
        "worst": [_missed(facts, row, by_candidate, thumbnail) for row in worst],
        "kept": _kept(store, facts, thumbnail) if facts.pictures else [],
    }


def _kept(store: Store, facts: Facts, thumbnail: Thumbnails) -> list[dict[str, Any]]:
    cards: list[dict[str, Any]] = []
    held: tuple[int, dict[str, list[tuple[str, bytes]]]] = (-1, {})
    commits = {commit["unit"]: commit for commit in facts.commits}
    rows = {row: facts.unit_of[facts.scores["pair_id"][row].as_py()] for row in examples.kept(facts.scores)}
    for row in sorted(rows, key=lambda row: rows[row]):
        if held[0] != rows[row]:
            held = (
                rows[row],
                dict(tar.read_samples(read_part(store, commits[rows[row]], "samples") or b"")),
            )
        card = _card(facts, row)
        files = {name.split(".", 2)[1]: data for name, data in held[1][card["key"]]}
        card["source"], card["edited"] = thumbnail(files["input_image"]), thumbnail(files["edited_image"])
        if card["source"] is None or card["edited"] is None:
            break
        cards.append(card)
    return cards


def _card(facts: Facts, row: int) -> dict[str, Any]:
    candidate = facts.scores.slice(row, 1).to_pylist()[0]
    pair = facts.pairs[candidate["pair_id"]]
    return {
        "key": f"{pair.id}-{candidate['sample_index']:03d}",
        "input": pair.input,
        "edit": pair.edit,
        "output": pair.output,
        "kind": kind_of(pair),
        "tau": candidate["p2p_threshold"],
        "guidance": candidate["cfg_scale"],
        "why": worded(candidate["reason"]) if candidate["reason"] else "",
        "scores": {name: round(candidate[name], 3) for name in CLIP_SCORES},
    }


def _missed(
    facts: Facts,
    row: int,
    pictures: dict[tuple[str, int, float], tuple[bytes, bytes]],
    thumbnail: Thumbnails,
) -> dict[str, Any]:
    """A rejected candidate; its pictures only where the run has stored them, in a preview."""
    card = _card(facts, row)
    one = facts.scores.slice(row, 1).to_pylist()[0]
    found = pictures.get((one["pair_id"], one["sample_index"], one["p2p_threshold"]))
    card["source"], card["edited"] = (thumbnail(found[0]), thumbnail(found[1])) if found else (None, None)
    return card


def _strip(preview: Preview, thumbnail: Thumbnails) -> dict[str, Any]:
    edits = [
        {**asdict(candidate), "picture": thumbnail(edit)}
        for candidate, edit in zip(preview.candidates, preview.edits, strict=True)
    ]
    texts = {"input": preview.pair.input, "edit": preview.pair.edit, "output": preview.pair.output}
    return {
        **texts,
        "kind": kind_of(preview.pair),
        "source": thumbnail(preview.source),
        "edits": edits,
        "maps": attention_gallery.of(preview, thumbnail),
    }


def _previews(store: Store, facts: Facts) -> Iterator[Preview]:
    for commit in facts.commits:
        data = read_part(store, commit, "previews")
        if data is not None:
            yield from previews.from_bytes(data)
