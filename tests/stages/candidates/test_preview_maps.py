"""Attention maps of the pairs that the report shows: the right ones, and nothing that is kept moves for them."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conf.running import Sheet
from conf.schema import Config, EditMethod
from stages.candidates.preview_maps import SIDE
from stages.formats import previews
from stages.generate import Generate
from stages.records import Unit, UnitResult
from tests import runs


@pytest.fixture(scope="module")
def config(sd1_folder: Path, clip_folder: Path) -> Config:
    return runs.config(sd1_folder, clip_folder, "unit_pairs=3")


def made(config: Config, sheet: Sheet, index: int = 0) -> UnitResult:
    return Generate(replace(config, sheet=sheet), "f")(Unit(index, runs.PAIRS[:3]))


def test_the_first_pairs_of_the_sheet_have_maps(config: Config) -> None:
    shown = made(config, Sheet(pairs=3, attention=2)).previews
    assert [len(one.maps) for one in shown] == [2, 2, 0]
    assert [len(one.maps) for one in made(config, Sheet(pairs=5, attention=4), index=1).previews] == [2, 0]
    assert [len(one.maps) for one in made(config, Sheet(pairs=1, attention=3)).previews] == [2]


def test_nothing_that_is_kept_moves_for_them(config: Config) -> None:
    with_maps, without = (made(config, Sheet(pairs=3, attention=count)) for count in (3, 0))
    assert with_maps.candidates == without.candidates
    assert with_maps.rows == without.rows
    for one, other in zip(with_maps.samples, without.samples, strict=True):
        assert (one.input_image == other.input_image).all()
        assert (one.edited_image == other.edited_image).all()
    assert previews.to_bytes([replace(one, maps=()) for one in with_maps.previews]) == previews.to_bytes(
        without.previews
    )


def test_they_are_of_the_captions_and_of_the_candidate_that_shows_most(
    config: Config, sd1_folder: Path
) -> None:
    stage = Generate(replace(config, sheet=Sheet(pairs=1, attention=1)), "f")
    result = stage(Unit(0, runs.PAIRS[:1]))
    (shown,) = result.previews
    source, edit = shown.maps
    assert (source.edit, source.words) == (-1, ("a", "red", "ball", "on", "grass"))
    assert edit.words == ("a", "blue", "ball", "on", "grass")
    chosen = shown.candidates[edit.edit]
    assert chosen == max(result.candidates, key=lambda one: (one.kept, one.clip_sim_dir))
    seen = stage.editor.attention(
        runs.PAIRS[0].input, chosen.seed, config.sampler.steps, chosen.cfg_scale, config.sampler.name
    )
    picture = np.asarray(Image.open(io.BytesIO(source.png)), np.float32)
    assert picture.shape == (5 * SIDE, SIDE)
    small = picture.reshape(5, SIDE, SIDE)
    assert (small.max((1, 2)) > 240).all()
    for own, whole in zip(small, seen.maps, strict=True):
        wanted = Image.fromarray(whole / whole.max() * 255).resize((SIDE, SIDE), Image.Resampling.BOX)
        assert np.abs(own - np.asarray(wanted)).max() < 2


def test_other_methods_have_no_attention_to_show(config: Config) -> None:
    other = replace(config, edit=replace(config.edit, method=EditMethod.sdedit))
    assert [one.maps for one in made(other, Sheet(pairs=1, attention=1)).previews] == [()]


def test_previews_travel_with_and_without_maps(config: Config) -> None:
    shown = made(config, Sheet(pairs=3, attention=1)).previews
    assert tuple(previews.from_bytes(previews.to_bytes(shown))) == shown
