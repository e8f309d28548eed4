"""Previews with attention maps: the right maps, and no change to what is kept."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import filters
from conf.running import Sheet
from conf.schema import Config, EditMethod, ImageFormat, Measure
from stages.candidates.scoring import CLIP_SCORES, Scorer
from stages.candidates.sheet_previews import MAP_SIDE, THUMBNAIL_BYTES, THUMBNAIL_SIDES, encode_thumbnail
from stages.formats import previews
from stages.generate import Generate
from stages.records import Candidate, Unit, UnitResult
from stages.write import encode_part
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


def shortfall(candidate: Candidate, thresholds: filters.Thresholds) -> float:
    return max(getattr(thresholds, name) - getattr(candidate, name) for name in CLIP_SCORES)


def test_thumbnails_are_of_the_nearest_and_the_furthest_miss(config: Config) -> None:
    stage = Generate(config, "f")
    scores = [candidate.clip_sim_dir for candidate in stage(Unit(0, runs.PAIRS[:3])).candidates]
    stage.config = replace(config, filter=replace(config.filter, clip_sim_dir=float(np.median(scores))))
    stage.scorer = Scorer(stage.config.filter, "cpu")
    result = stage(Unit(0, runs.PAIRS[:3]))
    assert result.thumbnails
    for pair in runs.PAIRS[:3]:
        misses = sorted(
            (shortfall(one, stage.scorer.thresholds), one.sample_index, one.tau)
            for one in result.candidates
            if one.pair_id == pair.id and not one.kept and shortfall(one, stage.scorer.thresholds) > 0
        )
        shown = [one for t in result.thumbnails if t.pair == pair for one in t.candidates]
        assert {(one.sample_index, one.tau) for one in shown} == {
            miss[1:] for miss in misses[:1] + misses[-1:]
        }
        assert not any(one.kept for one in shown)
    for thumbnail in result.thumbnails:
        for picture in (thumbnail.source, *thumbnail.edits):
            assert Image.open(io.BytesIO(picture)).format == "WEBP"


def test_thumbnails_change_nothing_that_is_kept(config: Config) -> None:
    strict = replace(config, filter=replace(config.filter, clip_sim_dir=0.0))
    made, without = (make_result(strict, Sheet(pairs=1, attention=0, rejected=count)) for count in (64, 0))
    assert made.thumbnails
    assert without.thumbnails == ()
    files, fewer = (encode_part(result, ImageFormat.png) for result in (made, without))
    assert files.pop("thumbnails")
    assert files == fewer


def test_what_a_measure_refused_has_no_thumbnail(config: Config) -> None:
    def count(least: float) -> int:
        measured = replace(config.filter, measures=[Measure(kind="ssim", least=least)], clip_sim_dir=1.0)
        return len(make_result(replace(config, filter=measured), Sheet(pairs=0)).thumbnails)

    assert count(-1.0) > 0
    assert count(1.0) == 0


@given(st.integers(1, 700), st.integers(1, 700), st.booleans())
def test_a_thumbnail_is_small_whatever_it_shows(width: int, height: int, noise: bool) -> None:
    values = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    encoded = encode_thumbnail(values if noise else np.zeros_like(values))
    assert len(encoded) <= THUMBNAIL_BYTES
    side = max(Image.open(io.BytesIO(encoded)).size)
    assert side == max(width, height) or side in THUMBNAIL_SIDES


def test_previews_survive_encoding_with_and_without_maps(config: Config) -> None:
    shown = make_result(config, Sheet(pairs=3, attention=1)).previews
    assert tuple(previews.from_bytes(previews.to_bytes(shown))) == shown
