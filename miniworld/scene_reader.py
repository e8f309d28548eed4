"""Reads the scene and its layout from an image, by a small network that was trained on drawn scenes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from miniworld.scene import COLOURS, GROUNDS, KINDS, SKIES, STYLES, Scene, Thing

WIDTHS = (24, 48, 80)
BATCH = 128
_WEIGHTS = Path(__file__).parent / "weights" / "reader" / "reader.safetensors"

Place = tuple[float, float, float]
"""x, y of the foot and size in fractions of the image's side, as in `miniworld.scene.Layout`."""


@dataclass(frozen=True)
class Reading:
    """The content of an image. ``places`` has the place of each thing; ``edge`` is the upper edge of the ground as in
    a `Layout`: horizon, slope, bulge.

    The scene of a spoilt image may have no thing or many. Two things of one kind are read as one.
    """

    scene: Scene
    places: tuple[Place, ...]
    edge: tuple[float, float, float]


class Guesses(NamedTuple):
    """Logits for N images: style (N, 4), ground (N, 5), sky (N, 4), edge (N, 3); for each of the 8 kinds of object its
    presence (N, 8), colour (N, 8, 9) and place (N, 8, 3).
    """

    style: Tensor
    ground: Tensor
    sky: Tensor
    edge: Tensor
    there: Tensor
    colour: Tensor
    place: Tensor


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.last = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.last(self.second(torch.relu(self.norm(self.first(x))))))


class Reader(nn.Module):
    """A residual network with 8×8 output positions. Each kind of object has its own attention over them."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, width in zip((3, *WIDTHS), WIDTHS, strict=False):
            layers += [nn.Conv2d(before, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            layers.append(_Block(width))
        self.body = nn.Sequential(*layers)
        width = WIDTHS[-1]
        self.whole = nn.Linear(8 * width, 48)
        self.style, self.ground = nn.Linear(48, len(STYLES)), nn.Linear(48, len(GROUNDS))
        self.sky, self.edge = nn.Linear(48, len(SKIES)), nn.Linear(48, 3)
        self.looks = nn.Conv2d(width, len(KINDS), 1)
        self.there = nn.Linear(width, len(KINDS))
        self.colour = nn.Linear(width, len(COLOURS))
        self.place = nn.Linear(width + 2, 3)
        steps = (torch.arange(8) + 0.5) / 8
        across = torch.stack([steps.repeat(8), steps.repeat_interleave(8)], -1)
        self.register_buffer("across", across, persistent=False)

    def forward(self, pixels: Tensor) -> Guesses:
        """Images (N, 3, 64, 64) in [-1, 1]."""
        features = self.body(pixels)
        whole = torch.relu(self.whole(features.mean(-1).flatten(1)))
        share = self.looks(features).flatten(2).softmax(-1)
        seen = share @ features.flatten(2).mT
        near = torch.cat([seen, share @ self.across], -1)
        return Guesses(
            self.style(whole),
            self.ground(whole),
            self.sky(whole),
            self.edge(whole),
            torch.einsum("nkc,kc->nk", seen, self.there.weight) + self.there.bias,
            self.colour(seen),
            self.place(near),
        )

    @torch.inference_mode()
    def read(self, images: Sequence[np.ndarray] | np.ndarray) -> list[Reading]:
        """Reads each of N images, uint8 (64, 64, 3)."""
        return [reading for part in _parts(images) for reading in _readings(self(part))]


def load_reader() -> Reader:
    """Loads the shipped reader."""
    reader = Reader()
    reader.load_state_dict(load_file(_WEIGHTS))
    return reader.float().eval()


def as_pixels(images: Sequence[np.ndarray] | np.ndarray) -> Tensor:
    """Converts uint8 (N, 64, 64, 3) to float32 (N, 3, 64, 64) in [-1, 1]."""
    return torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float() / 127.5 - 1


def _parts(images: Sequence[np.ndarray] | np.ndarray) -> Iterable[Tensor]:
    return (as_pixels(images[start : start + BATCH]) for start in range(0, len(images), BATCH))


def _readings(guesses: Guesses) -> Iterable[Reading]:
    style, ground, sky = (logits.argmax(-1).tolist() for logits in guesses[:3])
    colours = guesses.colour.argmax(-1)
    for n, there in enumerate(guesses.there > 0):
        present = there.nonzero().flatten().tolist()
        things = tuple(Thing(COLOURS[int(colours[n, k])], KINDS[k]) for k in present)
        scene = Scene(STYLES[style[n]], things, GROUNDS[ground[n]], SKIES[sky[n]])
        places = tuple(tuple(guesses.place[n, k].tolist()) for k in present)
        yield Reading(scene, places, tuple(guesses.edge[n].tolist()))
