"""The reader's recipe: what is to be read, and that reading is learnt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from miniworld.drawing.draw import draw
from miniworld.scene import COLOURS, GROUNDS, KINDS, SKIES, STYLES
from miniworld.scene_reader import Guesses, Reader, as_pixels
from miniworld.train.reader import RECIPE, augment, make_scene, make_targets, reading_loss, train_reader


def test_targets_name_the_scene() -> None:
    scenes = [make_scene(index) for index in range(60)]
    right = make_targets(scenes)
    for n, (scene, layout) in enumerate(scenes):
        assert STYLES[right.style[n]] == scene.style
        assert GROUNDS[right.ground[n]] == scene.ground
        assert SKIES[right.sky[n]] == scene.sky
        found = {
            (COLOURS[right.colour[n, k]], KINDS[k], tuple(round(v, 4) for v in right.place[n, k].tolist()))
            for k in right.there[n].nonzero().flatten()
        }
        assert found == {
            (thing.colour, thing.kind, tuple(round(v, 4) for v in place))
            for thing, place in zip(scene.things, layout.places, strict=False)
        }
        assert bool(right.edge[n, 1].isnan()) == (scene.ground == "water")


def test_the_loss_is_least_for_the_right_answer() -> None:
    right = make_targets([make_scene(index) for index in range(12)])
    sure = Guesses(
        *(20.0 * torch.nn.functional.one_hot(right[i], n).float() for i, n in ((0, 4), (1, 5), (2, 4))),
        right.edge.nan_to_num(),
        40 * right.there - 20,
        20.0 * torch.nn.functional.one_hot(right.colour.clamp(min=0), len(COLOURS)).float(),
        right.place.nan_to_num(),
    )
    assert reading_loss(sure, right) < 1e-4
    for field in ("style", "there", "colour", "place"):
        wrong = sure._replace(**{field: getattr(sure, field).roll(1, -1)})
        assert reading_loss(wrong, right) > 0.05


def test_blurred_images_stay_images_and_repeat() -> None:
    pixels = as_pixels(np.stack([draw(*make_scene(index)) for index in range(8)]))
    first, again = (augment(pixels, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, again)
    assert first.abs().max() <= 1
    assert not torch.equal(first, pixels)
    assert (first - pixels).abs().mean() < 0.2


def test_a_few_steps_learn(tmp_path: Path) -> None:
    drawn = np.stack([draw(*make_scene(index)) for index in range(32)])
    right = make_targets([make_scene(index) for index in range(32)])
    recipe = replace(RECIPE, steps=12, warmup=2, average=0.5)
    torch.manual_seed(0)
    before = reading_loss(Reader()(as_pixels(drawn)), right)
    reader = train_reader(drawn, drawn[:16], tmp_path, recipe).train()
    assert reading_loss(reader(as_pixels(drawn)), right) < 0.8 * before
