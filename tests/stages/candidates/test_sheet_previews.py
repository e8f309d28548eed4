"""Previews with attention maps: the right maps, and no change to what is kept."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conf.running import Sheet
from conf.schema import Config, EditMethod
from stages.candidates.sheet_previews import MAP_SIDE
from stages.formats import previews
from stages.generate import Generate
from stages.records import Unit, UnitResult
from tests import runs


@pytest.fixture(scope="module")
def config(sd1_folder: Path, clip_folder: Path) -> Config:
    return runs.config(sd1_folder, clip_folder, "unit_pairs=3")


def make_result(config: Config, sheet: Sheet, index: int = 0) -> UnitResult:
    return Generate(replace(config, sheet=sheet), "f")(Unit(index, runs.PAIRS[:3]))


def test_the_first_pairs_of_the_sheet_have_maps(config: Config) -> None:
    def count_maps(pairs: int, attention: int, index: int = 0) -> list[int]:
        result = make_result(config, Sheet(pairs=pairs, attention=attention), index)
        return [len(preview.maps) for preview in result.previews]

    assert count_maps(pairs=3, attention=2) == [2, 2, 0]
    assert count_maps(pairs=5, attention=4, index=1) == [2, 0]
    assert count_maps(pairs=1, attention=3) == [2]


def test_maps_change_nothing_that_is_kept(config: Config) -> None:
    with_maps, without = (make_result(config, Sheet(pairs=3, attention=count)) for count in (3, 0))
    assert with_maps.candidates == without.candidates
    assert with_maps.rows == without.rows
    for one, other in zip(with_maps.samples, without.samples, strict=True):
        assert (one.input_image == other.input_image).all()
        assert (one.edited_image == other.edited_image).all()
    assert previews.to_bytes([replace(one, maps=()) for one in with_maps.previews]) == previews.to_bytes(
        without.previews
    )


def test_maps_show_the_captions_words_and_the_best_candidate(config: Config, sd1_folder: Path) -> None:
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
    assert picture.shape == (5 * MAP_SIDE, MAP_SIDE)
    small = picture.reshape(5, MAP_SIDE, MAP_SIDE)
    assert (small.max((1, 2)) > 240).all()
    for own, whole in zip(small, seen.maps, strict=True):
        wanted = Image.fromarray(whole / whole.max() * 255).resize((MAP_SIDE, MAP_SIDE), Image.Resampling.BOX)
        assert np.abs(own - np.asarray(wanted)).max() < 2


def test_other_methods_have_no_maps(config: Config) -> None:
    other = replace(config, edit=replace(config.edit, method=EditMethod.sdedit))
    assert [one.maps for one in make_result(other, Sheet(pairs=1, attention=1)).previews] == [()]


def test_previews_survive_encoding_with_and_without_maps(config: Config) -> None:
    shown = make_result(config, Sheet(pairs=3, attention=1)).previews
    assert tuple(previews.from_bytes(previews.to_bytes(shown))) == shown
