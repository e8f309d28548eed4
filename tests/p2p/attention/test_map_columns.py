from __future__ import annotations

import pytest

import p2p
from p2p.attention.map_columns import map_size, word_columns


@pytest.mark.parametrize(
    ("latents", "sizes", "chosen"),
    [
        ((64, 64), [(64, 64), (32, 32), (16, 16), (8, 8)], (16, 16)),  # Stable Diffusion 1 at 512
        ((96, 96), [(96, 96), (48, 48), (24, 24), (12, 12)], (24, 24)),  # 2 at 768
        ((64, 96), [(64, 96), (32, 48), (16, 24), (8, 12)], (16, 24)),
        ((128, 128), [(64, 64), (32, 32)], (32, 32)),  # SDXL at 1024
        ((128, 128), [(64, 64)], (64, 64)),  # SD3 and FLUX at 1024
        ((16, 16), [(16, 16), (8, 8), (4, 4)], (8, 8)),  # the mini world: 4 a side say too little
        ((8, 8), [(4, 4), (2, 2)], (2, 2)),
        ((64, 64), [(32, 32), (8, 8)], (32, 32)),  # equally far: the finer
    ],
)
def test_maps_are_chosen_by_relative_size(
    latents: tuple[int, int], sizes: list[tuple[int, int]], chosen: tuple[int, int]
) -> None:
    assert map_size(latents, sizes) == chosen


def test_a_unets_maps_are_counted_by_size(sd1_editor: p2p.Editor) -> None:
    """Down, up, up on 8×8; down, middle, up, up on 4×4."""
    assert sd1_editor.family.map_layers == {(8, 8): 3, (4, 4): 4}


def test_columns_are_the_tokens_of_words(sd1_editor: p2p.Editor) -> None:
    prompt = sd1_editor.family.tokenize("a red ball")
    weights = word_columns(prompt, [prompt.tokens_of("red", ""), [1, 3], []])
    assert weights.shape == (20, 3)
    assert weights.nonzero().tolist() == [[1, 1], [2, 0], [3, 1]]
