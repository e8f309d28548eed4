from __future__ import annotations

import numpy as np

from benchmarks.figures.image_page import INK, MARK, SIDE, Cell, Strip, page


def solid(*colour: int) -> np.ndarray:
    return np.full((64, 64, 3), colour, dtype=np.uint8)


def share(pixels: np.ndarray, colour: tuple[int, ...]) -> float:
    return float((pixels == colour).all(-1).mean())


def test_images_are_enlarged_without_blur():
    checks = np.indices((64, 64)).sum(0) % 2
    image = np.stack([checks * 200, checks * 0, checks * 90], -1).astype(np.uint8)
    pixels = np.asarray(page("Title", "about", [Strip([Cell(image)])]))
    step = SIDE // 64
    assert share(pixels, (200, 0, 90)) * pixels.shape[0] * pixels.shape[1] == (64 * 64 / 2) * step**2


def test_only_marked_words_stand_out():
    plain = np.asarray(page("T", "", [Strip([Cell(solid(9, 9, 9), "a red ball")])]))
    marked = np.asarray(page("T", "", [Strip([Cell(solid(9, 9, 9), "a [red] ball")])]))
    assert share(plain, MARK) == 0 < share(marked, MARK)
    assert share(marked, INK) > 0


def test_page_grows_with_strips_and_captions():
    cell = Cell(solid(1, 2, 3), "a word")
    single = page("T", "", [Strip([cell])])
    assert page("T", "", [Strip([cell]), Strip([None, cell], "label")]).height > single.height + SIDE
    assert page("T", "", [Strip([Cell(cell.image, "many words " * 8)])]).height > single.height
