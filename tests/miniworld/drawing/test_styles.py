"""Styles as pixels: grey lines, tiles with grout, and washed colours on paper."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from miniworld.drawing.palette import FULL, PAPER, SIDE
from miniworld.drawing.styles import mosaic, pencil, watercolor


@pytest.fixture
def photo() -> Image.Image:
    """A red disc on a green ground."""
    image = Image.new("RGB", (FULL, FULL), (40, 160, 60))
    ImageDraw.Draw(image).ellipse((50, 50, 140, 140), fill=(210, 40, 40))
    return image


def chroma(pixels: np.ndarray) -> np.ndarray:
    """The range of the channels: 0 for grey."""
    wide = pixels.astype(int)
    return wide.max(-1) - wide.min(-1)


def test_a_pencil_draws_grey_lines_where_colours_meet(photo: Image.Image) -> None:
    before, after = np.asarray(photo), np.asarray(pencil(photo))
    assert after.shape == before.shape
    edge, centre, corner = after[95, 50], after[95, 95], after[5, 5]
    assert chroma(edge) < 20
    assert edge.max() < 100
    for flat, x, y in ((centre, 95, 95), (corner, 5, 5)):
        faded = 0.45 * np.array(PAPER) + 0.55 * before[y, x]
        assert np.abs(flat - faded).max() <= 1, "between the lines the colours fade"


def test_one_colour_has_no_lines() -> None:
    plain = np.asarray(pencil(Image.new("RGB", (FULL, FULL), (40, 160, 60))))
    assert len(np.unique(plain.reshape(-1, 3), axis=0)) == 1


def test_a_mosaic_has_tiles_of_four_pixels_with_grout() -> None:
    pixels = np.random.default_rng(0).uniform(0, 255, (SIDE, SIDE, 3)).astype(np.float32)
    tiled = mosaic(pixels)
    assert tiled.shape == pixels.shape
    lines = np.zeros(SIDE, bool)
    lines[::4] = True
    grout = lines[:, None] | lines[None, :]
    # Outside the grout a pixel is half its own and half its tile's mean; the grout darkens that.
    mean = pixels.reshape(16, 4, 16, 4, 3).mean((1, 3)).repeat(4, 0).repeat(4, 1)
    mixed = 0.5 * pixels + 0.5 * mean
    assert np.allclose(tiled[~grout], mixed[~grout], atol=1e-3)
    assert np.allclose(tiled[grout], 0.58 * mixed[grout] + 0.42 * 40, atol=1e-3)


def test_a_mosaic_of_one_colour_differs_in_the_grout_alone() -> None:
    tiled = mosaic(np.full((SIDE, SIDE, 3), 200, np.float32))
    assert len(np.unique(tiled.round())) == 2


def test_a_watercolor_is_paler_and_has_an_edge_of_paper(photo: Image.Image) -> None:
    before = np.asarray(photo)
    after = np.asarray(watercolor(photo, np.random.default_rng(0)))
    middle = slice(80, 110)
    assert chroma(after[middle, middle]).mean() < 0.9 * chroma(before[middle, middle]).mean()
    assert after[middle, middle].mean() > before[middle, middle].mean()
    assert np.abs(after[0, 0].astype(int) - PAPER).max() <= 1
    # The edge of the disc is blurred over several pixels.
    assert (np.diff(after[95, 40:60, 0].astype(int)) != 0).sum() > 6


def test_the_paper_s_edge_depends_on_the_generator(photo: Image.Image) -> None:
    first, again, other = (np.asarray(watercolor(photo, np.random.default_rng(seed))) for seed in (0, 0, 1))
    assert (first == again).all()
    changed = (first != other).any(-1)
    assert changed.any()
    assert not changed[60:130, 60:130].any(), "the middle has no paper"
