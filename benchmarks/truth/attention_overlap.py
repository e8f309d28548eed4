"""Whether the model looks where things are: `python -m benchmarks.truth.attention_overlap`.

The cross-attention map of a word is cut at a share of its range and held against the mask of what the word says, by
intersection over union. The share is chosen for each kind of word on drawn scenes that are not among those measured.

Drawn scenes have their true masks. A generated image's are estimated: it is edited in place (all of its attention
injected, cross and self), in a colour, the ground or the sky, and the mask is where the edit differs.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

import miniworld
import p2p
from benchmarks.common.markdown import markdown_table
from benchmarks.common.results_file import write_section
from benchmarks.truth.word_maps import encode, segment, word_maps
from miniworld.draw import draw
from miniworld.edits import Edit, random_edit
from miniworld.language import caption
from miniworld.masks import GROUND, SKY, changed, mask, overlap
from miniworld.scene import Scene, random_layout, random_scene

KINDS = ("object", GROUND, SKY)
SHARES = tuple(k / 20 for k in range(2, 16))
SEED = 2_000_003  # training draws with others
STEPS, GUIDANCE = 20, 5.0
LEAST, MOST = 0.01, 0.9  # parts of the image that an edit in place may have changed: else it failed
TITLE = "Attention maps against masks (`python -m benchmarks.truth.attention_overlap`)"
INTRO = """\
Intersection over union of a word's cross-attention map and the mask of what it says. The map is that of
`editor.attention` at four timesteps of the noised image, cut at the share of its range that does best on other drawn
scenes. Drawn scenes have true masks; a generated image's mask is where an edit in place (τ = 1, cross and self)
differs."""


@dataclass(frozen=True)
class Seen:
    """A word's map (64, 64) fp32 and the mask (64, 64) bool of what it says."""

    heat: np.ndarray
    mask: np.ndarray


def drawn(editor: p2p.Editor, count: int, seed: int) -> dict[str, list[Seen]]:
    """Maps and true masks of every word of random scenes."""
    rng = np.random.default_rng((SEED, seed))
    scenes = [random_scene(rng) for _ in range(count)]
    layouts = [random_layout(rng) for _ in scenes]
    latents = encode([draw(*both) for both in zip(scenes, layouts, strict=True)])
    words = [[*(thing.kind for thing in scene.things), scene.ground, scene.sky] for scene in scenes]
    maps = word_maps(editor, latents, [caption(scene) for scene in scenes], words)
    seen: dict[str, list[Seen]] = {kind: [] for kind in KINDS}
    for scene, layout, own in zip(scenes, layouts, maps, strict=True):
        things = [thing.kind for thing in scene.things]
        for kind, which, heat in zip(_kinds(scene), [*things, GROUND, SKY], own, strict=True):
            seen[kind].append(Seen(heat, mask(scene, layout, which)))
    return seen


def generated(editor: p2p.Editor, count: int) -> dict[str, list[Seen]]:
    """Maps of the edited words of generated images, and where the edits in place changed them."""
    seen = {}
    for kind, of in zip(KINDS, ("colour", "ground", "sky"), strict=True):
        rng = np.random.default_rng((SEED, KINDS.index(kind)))
        edits = [random_edit(rng, of) for _ in range(count)]
        requests = [
            p2p.SweepRequest(
                caption(edit.before),
                caption(edit.after),
                taus=(1.0,),
                seed=number,
                steps=STEPS,
                guidance_scale=GUIDANCE,
                self_gain=1.0,
            )
            for number, edit in enumerate(edits)
        ]
        sweeps = editor.sweep_many(requests)
        masks = [changed(sweep.source, sweep.edits[0]) for sweep in sweeps]
        latents = encode([sweep.source for sweep in sweeps])
        maps = word_maps(editor, latents, [r.source for r in requests], [[_edited(e)] for e in edits])
        seen[kind] = [
            Seen(heat[0], where)
            for heat, where in zip(maps, masks, strict=True)
            if LEAST < where.mean() < MOST
        ]
    return seen


def best_share(seen: Sequence[Seen]) -> float:
    """The share of `SHARES` at which maps and masks overlap most."""
    return max(SHARES, key=lambda share: mean_overlap(seen, share))


def mean_overlap(seen: Sequence[Seen], share: float) -> float:
    return float(np.mean([overlap(segment(one.heat, share), one.mask) for one in seen]))


def _kinds(scene: Scene) -> list[str]:
    return ["object"] * len(scene.things) + [GROUND, SKY]


def _edited(edit: Edit) -> str:
    """The word of the source whose place the edit changes."""
    before, after = edit.before, edit.after
    if edit.kind != "colour":
        return before.ground if edit.kind == "ground" else before.sky
    return next(old.kind for old, new in zip(before.things, after.things, strict=True) if old != new)


def table(shares: Mapping[str, float], rows: Mapping[str, Mapping[str, Sequence[Seen]]]) -> str:
    """In Markdown; the last column is the overlap that a mask of the whole image has."""
    lines = []
    for images, by_kind in rows.items():
        for kind, seen in by_kind.items():
            area = np.mean([one.mask.mean() for one in seen])
            reached = mean_overlap(seen, shares[kind])
            lines.append(
                [images, kind, str(len(seen)), f"{shares[kind]:.2f}", f"{reached:.2f}", f"{area:.2f}"]
            )
    return markdown_table(["images", "word", "n", "cut at", "IoU", "of the whole image"], lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.truth.attention_overlap", description=__doc__)
    parser.add_argument("--drawn", type=int, default=128, help="scenes to draw (default 128)")
    parser.add_argument("--generated", type=int, default=32, help="images to edit, of each kind (default 32)")
    options = parser.parse_args(arguments)
    editor = p2p.load(miniworld.MODEL, device="cpu")
    shares = {kind: best_share(seen) for kind, seen in drawn(editor, options.drawn // 2, 0).items()}
    rows = {"drawn": drawn(editor, options.drawn, 1), "generated": generated(editor, options.generated)}
    text = table(shares, rows)
    print(text)
    write_section(TITLE, f"{INTRO}\n\n{text}")


if __name__ == "__main__":
    main()
