"""Judges an edited pair of images by what is read from both: whether the edit is made and the rest preserved."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.truth.image_functions import dilate, psnr
from miniworld.drawing.draw import draw
from miniworld.scene import KINDS, Layout, Scene, Thing
from miniworld.scene_reader import Place, Reading

MAX_MOVE = 0.1  # of the side, in x, foot's y, size or horizon: some six pixels
MIN_PSNR = 20.0  # dB
MIN_DIFFERENCE = 3  # of 255; smaller differences of drawn pixels do not count
MIN_AREA = 0.05  # of the image, below which no PSNR is computed

Attributes = dict[str, str | None]
"""Style, ground and sky; for each kind of object its colour, None if there is none."""


@dataclass(frozen=True)
class EditTruth:
    """The result of an edit.

    Attributes:
        made: the input shows the edited attribute as its caption has it, the output as its own.
        attributes_kept: all other attributes are read alike from both images.
        places_kept: objects and horizon have not moved.
        psnr: in dB, where a drawn edit leaves the image unchanged; None if that is almost nowhere.
    """

    made: bool
    attributes_kept: bool
    places_kept: bool
    psnr: float | None

    @property
    def pixels_kept(self) -> bool:
        """Whether the PSNR is `MIN_PSNR` or more, if there is one."""
        return self.psnr is None or self.psnr >= MIN_PSNR

    @property
    def preserved(self) -> bool:
        """Whether attributes, places and pixels are kept."""
        return self.attributes_kept and self.places_kept and self.pixels_kept

    @property
    def right(self) -> bool:
        """Whether the edit is made and the rest preserved."""
        return self.made and self.preserved


def attributes(scene: Scene) -> Attributes:
    """Everything that a caption can name."""
    colours = {thing.kind: thing.colour for thing in scene.things}
    by_name: Attributes = {"style": scene.style, "ground": scene.ground, "sky": scene.sky}
    return by_name | {kind: colours.get(kind) for kind in KINDS}


def judge_edit(
    before: Scene, after: Scene, source: tuple[np.ndarray, Reading], output: tuple[np.ndarray, Reading]
) -> EditTruth:
    """Judge the edit from scene ``before`` to ``after``.

    Args:
        before, after: of the captions, different in one attribute, or in an object that replaces another.
        source, output: each image, uint8 (64, 64, 3), with what is read from it.
    """
    (input_image, input_reading), (output_image, output_reading) = source, output
    old, new = attributes(before), attributes(after)
    shown, result = attributes(input_reading.scene), attributes(output_reading.scene)
    edited = [key for key in old if old[key] != new[key]]
    swap = swapped_kinds(before, after)
    if swap:
        # The edit names the kind alone, so the new object takes over the colour of the one that it replaces.
        removed, added = swap
        made = all((shown[removed], result[added])) and not shown[added] and not result[removed]
        kept = shown[removed] == result[added] or not made
    else:
        made = all(shown[key] == old[key] and result[key] == new[key] for key in edited)
        kept = True
    kept &= all(shown[key] == result[key] for key in old if key not in edited)
    region = unchanged_region(before, after, input_reading, output_reading)
    quality = psnr(input_image, output_image, region) if region.mean() >= MIN_AREA else None
    return EditTruth(bool(made), bool(kept), _places_kept(input_reading, output_reading, swap), quality)


def swapped_kinds(before: Scene, after: Scene) -> tuple[str, str] | None:
    """The kinds of the removed and of the added object if the edit replaces one by the other, otherwise None."""
    old, new = [thing.kind for thing in before.things], [thing.kind for thing in after.things]
    removed, added = [kind for kind in old if kind not in new], [kind for kind in new if kind not in old]
    return (removed[0], added[0]) if removed and added else None


def unchanged_region(before: Scene, after: Scene, source: Reading, output: Reading) -> np.ndarray:
    """Bool (64, 64): pixels that the edit, drawn in the layout that was read, neither changes nor is near to.

    The scene read from the input is drawn with and without the edit; added objects are where the output has them.
    """
    swap = swapped_kinds(before, after)
    places = dict(zip((thing.kind for thing in source.scene.things), source.places, strict=True))
    if swap and swap[0] in places:
        places[swap[1]] = places[swap[0]]
    for thing, place in zip(output.scene.things, output.places, strict=True):
        places.setdefault(thing.kind, place)
    old, new, shown = attributes(before), attributes(after), attributes(source.scene)
    if swap:
        change: Attributes = {swap[0]: None, swap[1]: shown[swap[0]]}
    else:
        change = {key: new[key] for key in old if old[key] != new[key]}
    edge = _ground_edge(source, output)
    plain, edited = (_draw(scene, places, edge).astype(np.int16) for scene in (shown, shown | change))
    return ~dilate(np.abs(plain - edited).max(-1) > MIN_DIFFERENCE)


def _draw(shown: Attributes, places: dict[str, Place], edge: tuple[float, float, float]) -> np.ndarray:
    things = tuple(Thing(colour, kind) for kind in KINDS if (colour := shown[kind]) and kind in places)
    low, high = np.array([0.05, 0.1, 0.15]), np.array([0.95, 1.0, 0.5])
    clipped: Any = tuple(tuple(np.clip(places[thing.kind], low, high).tolist()) for thing in things)
    horizon, slope, bulge = edge
    # Light and details are the same in both drawings, so their values do not matter.
    layout = Layout(float(np.clip(horizon, 0.3, 0.75)), slope, bulge, clipped, (0.5, 0.15), 0)
    style, ground, sky = (str(shown[name]) for name in ("style", "ground", "sky"))
    return draw(Scene(style, things, ground, sky), layout)


def _ground_edge(source: Reading, output: Reading) -> tuple[float, float, float]:
    """Horizon, slope and bulge of the ground; water does not show the last two."""
    solid = next((reading for reading in (source, output) if reading.scene.ground != "water"), None)
    slope, bulge = solid.edge[1:] if solid else (0.0, 0.0)
    return source.edge[0], float(np.clip(slope, -0.1, 0.1)), float(np.clip(bulge, -0.1, 0.1))


def _places_kept(source: Reading, output: Reading, swap: tuple[str, str] | None) -> bool:
    places = dict(zip((thing.kind for thing in output.scene.things), output.places, strict=True))
    if swap and swap[1] in places:
        places[swap[0]] = places[swap[1]]
    moves = [abs(source.edge[0] - output.edge[0])]
    for thing, place in zip(source.scene.things, source.places, strict=True):
        if thing.kind in places:
            moves += [abs(a - b) for a, b in zip(place, places[thing.kind], strict=True)]
    return max(moves) <= MAX_MOVE


def layout_after(before: Scene, after: Scene, layout: Layout) -> Layout:
    """The layout in which an object that stays is where it was: of two the first takes the first place."""
    stays = len(after.things) < len(before.things) and after.things[0] == before.things[1]
    return replace(layout, places=layout.places[::-1]) if stays else layout
