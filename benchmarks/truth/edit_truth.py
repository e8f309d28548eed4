"""Whether an edited pair of images is right, by what is read from both: was the edit made, was the rest left alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from benchmarks.truth.background_preservation import psnr
from miniworld.draw import draw
from miniworld.scene import KINDS, Layout, Scene, Thing
from miniworld.scene_reader import Place, Reading

MOVED = 0.1  # of the side, in x, foot's y, size or horizon: some six pixels
QUIET = 20.0  # dB
WIDENED = 7  # pixels of the window of the greatest neighbour: three to each side
SEEN = 3  # of 255; what is drawn apart by less is the same
LEAST = 0.05  # of the picture, for a PSNR that says something

Attributes = dict[str, str | None]
"""Style, ground and sky; for each kind of object its colour, None where there is none."""


@dataclass(frozen=True)
class Truth:
    """What became of an edit.

    ``carried_out``: the input shows the edited attribute as its caption has it, the output as its own does.
    ``same_attributes``: all others are read alike from both. ``same_places``: objects and horizon are where they were.
    ``psnr``: in dB, where a drawn edit would leave the picture as it is; None where that is hardly anywhere.
    """

    carried_out: bool
    same_attributes: bool
    same_places: bool
    psnr: float | None

    @property
    def quiet(self) -> bool:
        """Whether the PSNR, where there is one, is `QUIET` or more."""
        return self.psnr is None or self.psnr >= QUIET

    @property
    def left_alone(self) -> bool:
        """Attributes, places and pixels."""
        return self.same_attributes and self.same_places and self.quiet

    @property
    def right(self) -> bool:
        """Carried out, and the rest left alone."""
        return self.carried_out and self.left_alone


def attributes(scene: Scene) -> Attributes:
    """All that a caption may name."""
    colours = {thing.kind: thing.colour for thing in scene.things}
    whole: Attributes = {"style": scene.style, "ground": scene.ground, "sky": scene.sky}
    return whole | {kind: colours.get(kind) for kind in KINDS}


def truth(
    before: Scene, after: Scene, inputs: tuple[np.ndarray, Reading], outputs: tuple[np.ndarray, Reading]
) -> Truth:
    """What became of the edit from scene ``before`` to ``after``.

    Args:
        before, after: of the captions, different in one attribute, or with an object that takes another's place.
        inputs, outputs: each image, uint8 (64, 64, 3), with what is read from it.
    """
    (source, seen), (edit, made) = inputs, outputs
    old, new, first, last = (attributes(scene) for scene in (before, after, seen.scene, made.scene))
    edited = [key for key in old if old[key] != new[key]]
    swap = swapped(before, after)
    if swap:
        # An object that another takes the place of hands on its colour: the edit names the kind alone.
        gone, come = swap
        carried = all((first[gone], last[come])) and not first[come] and not last[gone]
        same = first[gone] == last[come] or not carried
    else:
        carried = all(first[key] == old[key] and last[key] == new[key] for key in edited)
        same = True
    same &= all(first[key] == last[key] for key in old if key not in edited)
    where = left(before, after, seen, made)
    kept = psnr(source, edit, where) if where.mean() >= LEAST else None
    return Truth(bool(carried), bool(same), _same_places(seen, made, swap), kept)


def swapped(before: Scene, after: Scene) -> tuple[str, str] | None:
    """The kinds of an object that goes and of the one that comes in its place, if that is the edit."""
    gone = [thing.kind for thing in before.things if thing.kind not in {one.kind for one in after.things}]
    come = [thing.kind for thing in after.things if thing.kind not in {one.kind for one in before.things}]
    return (gone[0], come[0]) if gone and come else None


def left(before: Scene, after: Scene, seen: Reading, made: Reading) -> np.ndarray:
    """Where the edit, drawn in the layout that was read, leaves the picture as it is, and is not near: bool (64, 64).

    What is read from the input is drawn, and drawn again with the edit; what comes anew is where the output has it.
    """
    swap = swapped(before, after)
    places = dict(zip((thing.kind for thing in seen.scene.things), seen.places, strict=True))
    if swap and swap[0] in places:
        places[swap[1]] = places[swap[0]]
    for thing, place in zip(made.scene.things, made.places, strict=True):
        places.setdefault(thing.kind, place)
    old, new, first = attributes(before), attributes(after), attributes(seen.scene)
    if swap:
        change: Attributes = {swap[0]: None, swap[1]: first[swap[0]]}
    else:
        change = {key: new[key] for key in old if old[key] != new[key]}
    edge = _edge(seen, made)
    drawn = [_drawn(shown, places, edge).astype(np.int16) for shown in (first, first | change)]
    differs = np.abs(drawn[0] - drawn[1]).max(-1) > SEEN
    return np.asarray(Image.fromarray(differs).convert("L").filter(ImageFilter.MaxFilter(WIDENED))) == 0


def _drawn(shown: Attributes, places: dict[str, Place], edge: tuple[float, float, float]) -> np.ndarray:
    things = tuple(Thing(colour, kind) for kind in KINDS if (colour := shown[kind]) and kind in places)
    low, high = np.array([0.05, 0.1, 0.15]), np.array([0.95, 1.0, 0.5])
    taken: Any = tuple(tuple(np.clip(places[thing.kind], low, high).tolist()) for thing in things)
    horizon, slope, bulge = edge
    # The light and the details have no say: they are the same in both.
    layout = Layout(float(np.clip(horizon, 0.3, 0.75)), slope, bulge, taken, (0.5, 0.15), 0)
    style, ground, sky = (str(shown[name]) for name in ("style", "ground", "sky"))
    return draw(Scene(style, things, ground, sky), layout)


def _edge(seen: Reading, made: Reading) -> tuple[float, float, float]:
    """The ground's edge, whose slope and bulge water does not show."""
    solid = next((one for one in (seen, made) if one.scene.ground != "water"), None)
    slope, bulge = solid.edge[1:] if solid else (0.0, 0.0)
    return seen.edge[0], float(np.clip(slope, -0.1, 0.1)), float(np.clip(bulge, -0.1, 0.1))


def _same_places(seen: Reading, made: Reading, swap: tuple[str, str] | None) -> bool:
    found = dict(zip((thing.kind for thing in made.scene.things), made.places, strict=True))
    if swap and swap[1] in found:
        found[swap[0]] = found[swap[1]]
    moves = [abs(seen.edge[0] - made.edge[0])]
    for thing, place in zip(seen.scene.things, seen.places, strict=True):
        if thing.kind in found:
            moves += [abs(a - b) for a, b in zip(place, found[thing.kind], strict=True)]
    return max(moves) <= MOVED


def read_from_truth(scene: Scene, layout: Layout) -> Reading:
    """What a reader without faults reads from a drawn scene."""
    edge = (layout.horizon, layout.slope, layout.bulge)
    return Reading(scene, tuple(layout.places[: len(scene.things)]), edge)


def layout_after(before: Scene, after: Scene, layout: Layout) -> Layout:
    """The layout in which an object that stays is where it was: of two the first takes the first place."""
    stays = len(after.things) < len(before.things) and after.things[0] == before.things[1]
    return replace(layout, places=layout.places[::-1]) if stays else layout
