from __future__ import annotations

import io

import numpy as np
from PIL import Image

from pipeline.report.heatmap import GAP, PICTURE, Maps, draw, overlay

GREY = np.full((8, 8, 3), 100, np.uint8)


def test_more_attention_is_brighter_and_the_scale_is_relative():
    heat = np.zeros((8, 8), np.float32)
    heat[:, 4:] = 3.0
    colours = overlay(GREY, heat)
    assert colours.shape == (8, 8, 3)
    assert colours[0, 7].sum() > colours[0, 0].sum()
    assert (overlay(GREY, heat * 10) == colours).all()


def test_a_map_of_zeros_is_dark_everywhere():
    colours = overlay(GREY, np.zeros((8, 8), np.float32))
    assert (colours == colours[0, 0]).all()
    assert colours.max() < 50


def test_a_picture_grows_by_a_cell_for_each_word_and_line():
    def size(words: int, lines: int) -> tuple[int, int]:
        maps = Maps("all", np.ones((words, 8, 8), np.float32))
        return Image.open(io.BytesIO(draw("a cat", GREY, ["word"] * words, [maps] * lines))).size

    width, height = size(1, 1)
    assert size(3, 1) == (width + 2 * (PICTURE + GAP), height)
    assert size(1, 4) == (width, height + 3 * (PICTURE + GAP))
