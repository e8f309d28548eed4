"""Previews of caption pairs for the contact sheet and the report, and thumbnails of rejected candidates."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import filters
import p2p
from conf.schema import Config, ImageFormat
from stages.candidates.scoring import CLIP_SCORES, SweptSeed, make_measure_specs, make_thresholds
from stages.candidates.selection import RenderedPair
from stages.formats.tar import encode_image
from stages.records import Candidate, Preview, Unit, WordMaps

MAP_SIDE = 48
"""Pixels of a map's side in the report. The denoiser's maps have 16 or a few more."""


THUMBNAIL_SIDES = (256, 192, 128, 64)
"""Pixels of a thumbnail's longer side: the first at which it takes at most THUMBNAIL_BYTES, or the last."""
THUMBNAIL_BYTES = 8_000


def make_previews(
    unit: Unit, rendered: Iterable[RenderedPair], config: Config, editor: p2p.Editor
) -> tuple[Preview, ...]:
    """The previews of those of the unit's pairs that are on the sheet."""
    places = _places(unit, config)
    return tuple(
        _make_preview(pair, editor if places[pair.pair.id] < config.sheet.attention else None)
        for pair in rendered
        if places[pair.pair.id] < config.sheet.pairs
    )


def make_thumbnails(unit: Unit, rendered: Iterable[RenderedPair], config: Config) -> tuple[Preview, ...]:
    """Small pictures of the nearest and the furthest miss of those pairs whose rejected candidates the report shows.

    A candidate that is out of a measure's bounds has none, so that the report never shows what a classifier of unsafe
    images found.
    """
    bounds = {spec.score: spec.bounds for spec in make_measure_specs(config.filter)}
    thresholds = make_thresholds(config.filter)
    places = _places(unit, config)
    shown = (pair for pair in rendered if config.sheet.shows_rejected(places[pair.pair.id]))
    return tuple(thumbnail for pair in shown for thumbnail in _make_thumbnails(pair, thresholds, bounds))


def _make_thumbnails(
    rendered: RenderedPair, thresholds: filters.Thresholds, bounds: Mapping[str, filters.Bounds]
) -> Iterator[Preview]:
    """One preview for each seed of the two candidates."""

    def shortfall(candidate: Candidate) -> float:
        return max(getattr(thresholds, name) - getattr(candidate, name) for name in CLIP_SCORES)

    def within(candidate: Candidate) -> bool:
        scores = {name: np.array([value], np.float32) for name, value in candidate.measures.items()}
        return not any(filters.find_missed_bounds(scores, bounds, 1))

    misses = [c for c in rendered.candidates if not c.kept and shortfall(c) > 0 and within(c)]
    ends = [min(misses, key=shortfall), max(misses, key=shortfall)] if misses else []
    for seed in rendered.seeds:
        edits = zip(seed.candidates, seed.sweep.edits, strict=True)
        chosen = [(candidate, edit) for candidate, edit in edits if candidate in ends]
        if chosen:
            yield Preview(
                pair=rendered.pair,
                source=encode_thumbnail(seed.sweep.source),
                edits=tuple(encode_thumbnail(edit) for _, edit in chosen),
                candidates=tuple(candidate for candidate, _ in chosen),
                other=_other(seed, encode_thumbnail),
            )


def _other(seed: SweptSeed, encode: Callable[[NDArray[np.uint8]], bytes]) -> tuple[str, bytes] | None:
    """The one of a pair's image and its reconstruction that is not the input image of the seed's samples."""
    if seed.sweep.original is None or seed.reconstruction is None:
        return None
    if seed.sweep.source is seed.sweep.original:
        return "reconstruction", encode(seed.reconstruction)
    return "original", encode(seed.sweep.original)


def encode_thumbnail(image: NDArray[np.uint8]) -> bytes:
    """Encodes a small copy of an image (H, W, 3) as WebP."""
    for side in THUMBNAIL_SIDES:
        small = Image.fromarray(image)
        small.thumbnail((side, side), Image.Resampling.LANCZOS)
        encoded = encode_image(np.asarray(small), ImageFormat.webp, 75)
        if len(encoded) <= THUMBNAIL_BYTES:
            break
    return encoded


def _places(unit: Unit, config: Config) -> dict[str, int]:
    """The place in the plan of each of the unit's pairs, by the pair's id."""
    first = unit.index * config.unit_pairs
    return {pair.id: first + place for place, pair in enumerate(unit.pairs)}


def _make_preview(rendered: RenderedPair, editor: p2p.Editor | None) -> Preview:
    """The sample of the best candidate: a kept one if there is one, then the largest clip_sim_dir.

    With an editor also its attention maps.
    """
    best = max(rendered.candidates, key=lambda candidate: (candidate.kept, candidate.clip_sim_dir))
    seed = rendered.seeds[best.sample_index]
    encode = partial(encode_image, format=ImageFormat.png)
    return Preview(
        pair=rendered.pair,
        source=encode(seed.sweep.source),
        edits=tuple(map(encode, seed.sweep.edits)),
        other=_other(seed, encode),
        candidates=seed.candidates,
        maps=_draw_maps(seed, seed.candidates.index(best), editor) if editor else (),
    )


def _draw_maps(seed: SweptSeed, place: int, editor: p2p.Editor) -> tuple[WordMaps, ...]:
    """The attention maps of the source and of the edit at ``place``; none for other methods than p2p, and for a blend.

    They are drawn by a second run, because recording them would change the last bits of the sweep.
    """
    if seed.request.method != "p2p" or seed.request.blend is not None:
        return ()
    maps = editor.edit_attention(replace(seed.request, taus=(seed.candidates[place].tau,)))
    return tuple(
        WordMaps(edit, image_maps.words, encode_image(stack_maps(image_maps.maps), ImageFormat.png, 100))
        for edit, image_maps in zip((-1, place), maps, strict=True)
    )


def stack_maps(maps: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Stacks maps (n, H, W) into one grey image (n·MAP_SIDE, MAP_SIDE), each scaled to its own maximum."""
    greatest = np.maximum(maps.max((1, 2), keepdims=True), 1e-12)
    levels = (maps / greatest * 255).round().astype(np.uint8)
    size = (MAP_SIDE, MAP_SIDE)
    return np.concatenate(
        [np.asarray(Image.fromarray(level).resize(size, Image.Resampling.BOX)) for level in levels]
    )
