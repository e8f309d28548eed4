"""Gallery of the page: kept pairs, τ strips and misses, as plain values for its script."""

from __future__ import annotations

import base64
import io
from collections.abc import Container, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from pipeline.dataset.contact_sheet import read_previews, source_name
from pipeline.dataset.funnel import describe_reason
from pipeline.report import examples, heatmap
from pipeline.report.report_data import ReportData
from stages.candidates.scoring import CLIP_SCORES
from stages.candidates.selection import sample_key
from stages.formats import tar
from stages.records import CaptionPair, Preview, WordMaps, instruction_kind
from stages.storage.commits import read_part
from stages.storage.store import Store

SIDE, QUALITY = 256, 80
MAP_SIDE = 128
STRIPS = 24
BUDGET = 8_000_000  # bytes of base64, in a page of at most 10 MB


class Thumbnails:
    """Encodes pictures as data URIs until the page's budget of bytes is spent, and returns None from then on."""

    def __init__(self, budget: int = BUDGET) -> None:
        self.left = budget

    def __call__(self, encoded: bytes) -> str | None:
        """``encoded`` is any image file; the result is WebP of at most 256 pixels a side.

        Such a picture is taken as it is.
        """
        if self.left <= 0:
            return None
        picture = Image.open(io.BytesIO(encoded))
        if picture.format != "WEBP" or max(picture.size) > SIDE:
            picture = picture.convert("RGB")
            picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
            buffer = io.BytesIO()
            picture.save(buffer, "WEBP", quality=QUALITY)
            encoded = buffer.getvalue()
        uri = "data:image/webp;base64," + base64.b64encode(encoded).decode()
        self.left -= len(uri)
        return uri


@dataclass(frozen=True)
class Gallery:
    """The ``cards`` of each list: kept, strips, near, worst.

    Near and worst were chosen from ``drawn_from`` of ``missed`` caption pairs with a candidate below a threshold.
    """

    cards: dict[str, list[dict[str, Any]]]
    drawn_from: int = 0
    missed: int = 0


def build_gallery(store: Store, data: ReportData, thumbnail: Thumbnails) -> Gallery:
    """The gallery of an output. Without the parts there are only near and worst, without pictures.

    Rejected candidates are chosen among those with pictures if there are any. Raises DamageError for a damaged part.
    """
    thresholds = {name: getattr(data.config.filter, name) for name in CLIP_SCORES}
    stored = list(read_previews(store, data.commits)) if data.pictures else []
    small = list(read_previews(store, data.commits, "thumbnails")) if data.pictures else []
    pictures = {
        (preview.pair.id, candidate.sample_index, candidate.tau): (preview, edit)
        for preview in (*stored, *small)
        for candidate, edit in zip(preview.candidates, preview.edits, strict=True)
    }
    below = examples.shortfall(data.scores, thresholds) > 0
    pictured = below & _has_picture(data.scores, pictures)
    among = pictured if pictured.any() else below
    near, worst = examples.select_missed(data.scores, thresholds, among)

    def missed(index: int) -> dict[str, Any]:
        candidate = _candidate(data, index)
        identity = candidate["pair_id"], candidate["sample_index"], candidate["p2p_threshold"]
        if identity not in pictures:
            return _card(data, candidate) | {"source": None, "edited": None}
        preview, edit = pictures[identity]
        shown = {"source": thumbnail(preview.source), "edited": thumbnail(edit)}
        return _card(data, candidate) | shown | _other(preview, thumbnail)

    cards = {
        "strips": [_strip(preview, thumbnail) for preview in stored[:STRIPS]],
        "near": [missed(index) for index in near],
        "worst": [missed(index) for index in worst],
        "kept": _kept(store, data, thumbnail, [*stored, *small]) if data.pictures else [],
    }
    pair_ids = data.scores["pair_id"]
    return Gallery(cards, *(pc.count_distinct(pair_ids.filter(mask)).as_py() for mask in (among, below)))


def _has_picture(scores: pa.Table, pictures: Container[tuple[str, int, float]]) -> np.ndarray:
    """Bool (candidates,): those with pictures."""
    names = ("pair_id", "sample_index", "p2p_threshold")
    identities = zip(*(scores[name].to_numpy() for name in names), strict=True)
    return np.fromiter((identity in pictures for identity in identities), bool, scores.num_rows)


def _kept(
    store: Store, data: ReportData, thumbnail: Thumbnails, previews: Sequence[Preview]
) -> list[dict[str, Any]]:
    cards: list[dict[str, Any]] = []
    shown = {sample_key(preview.candidates[0]): preview for preview in reversed(previews)}
    commits = {commit["unit"]: commit for commit in data.commits}
    candidates = [_candidate(data, index) for index in examples.select_kept(data.scores)]

    def unit_of(candidate: dict[str, Any]) -> int:
        return data.unit_of[candidate["pair_id"]]

    for unit, members in groupby(sorted(candidates, key=unit_of), unit_of):
        samples = dict(tar.read_samples(read_part(store, commits[unit], "samples") or b""))
        for candidate in members:
            card = _card(data, candidate)
            files = {name.partition(".")[0]: content for name, content in samples[card["key"]].items()}
            source, edited = thumbnail(files["input_image"]), thumbnail(files["edited_image"])
            if source is None or edited is None:
                return cards
            other = _other(shown[card["key"]], thumbnail) if card["key"] in shown else {}
            cards.append(card | {"source": source, "edited": edited} | other)
    return cards


def _candidate(data: ReportData, index: int) -> dict[str, Any]:
    return data.scores.slice(index, 1).to_pylist()[0]  # type: ignore[no-any-return]


def _card(data: ReportData, candidate: dict[str, Any]) -> dict[str, Any]:
    pair = data.pairs[candidate["pair_id"]]
    return _captions(pair) | {
        "key": f"{pair.id}-{candidate['sample_index']:03d}",
        "tau": candidate["p2p_threshold"],
        "guidance": candidate["cfg_scale"],
        "why": _describe_verdict(data, candidate),
        "scores": {name: round(candidate[name], 3) for name in CLIP_SCORES},
    }


def _describe_verdict(data: ReportData, candidate: dict[str, Any]) -> str:
    """The reason of a rejection, with score and threshold if it is a score of CLIP; "" for a kept candidate."""
    reason = candidate["reason"]
    if reason in CLIP_SCORES:
        limit = getattr(data.config.filter, reason)
        return f"{describe_reason(reason)}: {candidate[reason]:.3f} < {limit:g}"
    return describe_reason(reason) if reason else ""


def _other(preview: Preview, thumbnail: Thumbnails) -> dict[str, Any]:
    """The picture beside the source, with its name; {} without one."""
    if preview.other is None:
        return {}
    name, encoded = preview.other
    return {"other": thumbnail(encoded), "other_name": name, "source_name": source_name(preview)}


def _strip(preview: Preview, thumbnail: Thumbnails) -> dict[str, Any]:
    edits = [
        {**asdict(candidate), "picture": thumbnail(edit)}
        for candidate, edit in zip(preview.candidates, preview.edits, strict=True)
    ]
    source = thumbnail(preview.source)
    maps = _attention(preview, thumbnail)
    return _captions(preview.pair) | {
        "key": sample_key(preview.candidates[0]),
        "source": source,
        "edits": edits,
        "maps": maps,
        **_other(preview, thumbnail),
    }


def _attention(preview: Preview, thumbnail: Thumbnails) -> list[dict[str, Any]]:
    """An entry for the source and one for the edit, each with its words; empty if the run drew no maps."""
    entries = []
    for maps in preview.maps:
        is_source = maps.edit < 0
        pictures = _draw_maps(preview.source if is_source else preview.edits[maps.edit], maps)
        entries.append(
            {
                "tau": None if is_source else preview.candidates[maps.edit].tau,
                "words": [
                    {"word": word, "picture": thumbnail(picture)}
                    for word, picture in zip(maps.words, pictures, strict=True)
                    if any(map(str.isalnum, word))
                ],
            }
        )
    return entries


def _draw_maps(picture: bytes, maps: WordMaps) -> Iterator[bytes]:
    """Yields a PNG for each word. ``maps.png`` holds the square maps of the words below each other."""
    image = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB").resize((MAP_SIDE, MAP_SIDE)))
    stack = Image.open(io.BytesIO(maps.png)).convert("L")
    side = stack.width
    for index in range(len(maps.words)):
        heat = stack.crop((0, index * side, side, (index + 1) * side)).resize((MAP_SIDE, MAP_SIDE))
        buffer = io.BytesIO()
        Image.fromarray(heatmap.overlay(image, np.asarray(heat, np.float32))).save(buffer, "PNG")
        yield buffer.getvalue()


def _captions(pair: CaptionPair) -> dict[str, str]:
    return {"input": pair.input, "edit": pair.edit, "output": pair.output, "kind": instruction_kind(pair)}
