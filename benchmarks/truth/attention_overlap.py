"""Intersection over union of words' attention maps and the true masks of what they name.

The cross-attention map of a word is cut at a share of its range and compared with the mask of what the word names. The
share is chosen for each kind of word on drawn scenes that are not among those measured.

Drawn scenes have true masks. The masks of generated images are estimated: an image is edited in place (cross- and
self-attention injected for all steps) in a colour, the ground or the sky, and the mask is where the edit differs.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

import miniworld
import p2p
from benchmarks.common.markdown import markdown_table
from benchmarks.common.results_file import publish
from benchmarks.truth.image_functions import encode
from benchmarks.truth.word_maps import segment, word_maps
from miniworld.drawing.draw import draw
from miniworld.drawing.masks import GROUND, SKY, find_change, mask, overlap
from miniworld.edits import Edit, random_edit
from miniworld.language import caption
from miniworld.scene import random_layout, random_scene

KINDS = ("object", GROUND, SKY)
SHARES = tuple(k / 20 for k in range(2, 16))
SEED = 2_000_003  # not used by any training
STEPS, GUIDANCE = 20, 5.0
MIN_AREA, MAX_AREA = 0.01, 0.9  # of the image, changed by an edit in place; otherwise the edit failed


@dataclass(frozen=True)
class WordMap:
    """A word's map (64, 64) fp32 and the mask (64, 64) bool of what it names."""

    heat: np.ndarray
    mask: np.ndarray


def drawn_maps(editor: p2p.Editor, count: int, seed: int) -> dict[str, list[WordMap]]:
    """Maps and true masks of every word of random scenes."""
    rng = np.random.default_rng((SEED, seed))
    scenes = [random_scene(rng) for _ in range(count)]
    layouts = [random_layout(rng) for _ in scenes]
    latents = encode([draw(*drawing) for drawing in zip(scenes, layouts, strict=True)])
    words = [[*(thing.kind for thing in scene.things), scene.ground, scene.sky] for scene in scenes]
    heats = word_maps(editor, latents, [caption(scene) for scene in scenes], words)
    maps: dict[str, list[WordMap]] = {kind: [] for kind in KINDS}
    for scene, layout, scene_heats in zip(scenes, layouts, heats, strict=True):
        names = [*(thing.kind for thing in scene.things), GROUND, SKY]
        for name, heat in zip(names, scene_heats, strict=True):
            kind = name if name in KINDS else "object"
            maps[kind].append(WordMap(heat, mask(scene, layout, name)))
    return maps


def generated_maps(editor: p2p.Editor, count: int) -> dict[str, list[WordMap]]:
    """Maps of the edited words of generated images, and the regions that edits in place changed."""
    maps = {}
    for kind, edit_kind in zip(KINDS, ("colour", "ground", "sky"), strict=True):
        rng = np.random.default_rng((SEED, KINDS.index(kind)))
        edits = [random_edit(rng, edit_kind) for _ in range(count)]
        captions = [caption(edit.before) for edit in edits]
        requests = [
            p2p.SweepRequest(
                source, caption(edit.after), (1.0,), seed, steps=STEPS, guidance_scale=GUIDANCE, self_gain=1.0
            )
            for seed, (source, edit) in enumerate(zip(captions, edits, strict=True))
        ]
        sweeps = editor.sweep_many(requests)
        regions = [find_change(sweep.source, sweep.edits[0]) for sweep in sweeps]
        latents = encode([sweep.source for sweep in sweeps])
        heats = word_maps(editor, latents, captions, [[_edited_word(edit)] for edit in edits])
        maps[kind] = [
            WordMap(heat[0], region)
            for heat, region in zip(heats, regions, strict=True)
            if MIN_AREA < region.mean() < MAX_AREA
        ]
    return maps


def best_share(maps: Sequence[WordMap]) -> float:
    """The share of `SHARES` at which maps and masks overlap most."""
    return max(SHARES, key=lambda share: mean_overlap(maps, share))


def mean_overlap(maps: Sequence[WordMap], share: float) -> float:
    return float(np.mean([overlap(segment(word.heat, share), word.mask) for word in maps]))


def _edited_word(edit: Edit) -> str:
    """The word of the source whose place the edit changes."""
    before, after = edit.before, edit.after
    if edit.kind != "colour":
        return before.ground if edit.kind == "ground" else before.sky
    return next(old.kind for old, new in zip(before.things, after.things, strict=True) if old != new)


def table(shares: Mapping[str, float], maps: Mapping[str, Mapping[str, Sequence[WordMap]]]) -> str:
    """Overlap by kind of image and of word; the last column is the overlap of a mask of the whole image."""
    records = [
        (images, kind, len(words), shares[kind], mean_overlap(words, shares[kind]), area)
        for images, by_kind in maps.items()
        for kind, words in by_kind.items()
        for area in [np.mean([word.mask.mean() for word in words])]
    ]
    return markdown_table(["images", "word", "n", "cut at:.2f", "IoU:.2f", "of the whole image:.2f"], records)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.truth.attention_overlap", description=__doc__)
    parser.add_argument("--drawn", type=int, default=128, help="scenes to draw (default 128)")
    parser.add_argument("--generated", type=int, default=32, help="images to edit, of each kind (default 32)")
    options = parser.parse_args(arguments)
    editor = p2p.load(miniworld.MODEL, device="cpu")
    shares = {kind: best_share(maps) for kind, maps in drawn_maps(editor, options.drawn // 2, 0).items()}
    maps = {
        "drawn": drawn_maps(editor, options.drawn, 1),
        "generated": generated_maps(editor, options.generated),
    }
    publish(
        "Attention maps against masks",
        "benchmarks.truth.attention_overlap",
        "Intersection over union of a word's cross-attention map and the mask of what it names. The map is that of "
        "`editor.attention` at four timesteps of the noised image, cut at the share of its range that is best on other "
        "drawn scenes. Drawn scenes have true masks; a generated image's mask is where an edit in place (τ = 1, cross "
        f"and self) differs.\n\n{table(shares, maps)}",
    )


if __name__ == "__main__":
    main()
