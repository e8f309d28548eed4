"""Previews of caption pairs for the contact sheet and the report, some with attention maps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import p2p
from conf.schema import Config, ImageFormat
from stages.candidates.scoring import SweptSeed
from stages.candidates.selection import RenderedPair
from stages.formats.tar import encode_image
from stages.records import Preview, Unit, WordMaps

MAP_SIDE = 48
"""Pixels of a map's side in the report. The denoiser's maps have 16 or a few more."""


def make_previews(
    unit: Unit, rendered: Iterable[RenderedPair], config: Config, editor: p2p.Editor
) -> tuple[Preview, ...]:
    """The previews of those of the unit's pairs that are on the sheet."""
    first = unit.index * config.unit_pairs
    places = {pair.id: first + place for place, pair in enumerate(unit.pairs)}
    return tuple(
        _make_preview(pair, editor if places[pair.pair.id] < config.sheet.attention else None)
        for pair in rendered
        if places[pair.pair.id] < config.sheet.pairs
    )


def _make_preview(rendered: RenderedPair, editor: p2p.Editor | None) -> Preview:
    """The sample of the best candidate: a kept one if there is one, then the largest clip_sim_dir.

    With an editor also its attention maps.
    """
    best = max(rendered.candidates, key=lambda candidate: (candidate.kept, candidate.clip_sim_dir))
    seed = rendered.seeds[best.sample_index]
    return Preview(
        pair=rendered.pair,
        source=encode_image(seed.sweep.source, ImageFormat.png, 100),
        edits=tuple(encode_image(edit, ImageFormat.png, 100) for edit in seed.sweep.edits),
        candidates=seed.candidates,
        maps=_draw_maps(seed, seed.candidates.index(best), editor) if editor else (),
    )


def _draw_maps(seed: SweptSeed, place: int, editor: p2p.Editor) -> tuple[WordMaps, ...]:
    """The attention maps of the source and of the edit at ``place``; none for other methods than p2p.

    They are drawn by a second run, because recording them would change the last bits of the sweep. A compiled denoiser
    draws none, because it would have to be compiled again.
    """
    if seed.request.method != "p2p" or editor.pad:
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
