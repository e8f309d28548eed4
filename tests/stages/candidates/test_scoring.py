from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import filters
from conf.schema import Config
from filters.measures.changed_area import ChangedArea
from filters.measures.ssim import Ssim
from stages.candidates.scoring import Scorer, make_measure_specs
from stages.formats.parquet_tables import SCORES, measures_of, scores_table
from stages.generate import Generate
from stages.records import Unit
from tests import runs

UNIT = Unit(0, runs.PAIRS[:2])
LISTED = "filter.measures=[{kind:ssim},{kind:changed_area,name:area,tolerance:0.02}]"


@pytest.fixture
def config(sd1_folder: Path, clip_folder: Path) -> Config:
    return runs.config(sd1_folder, clip_folder, "sheet.pairs=0", LISTED)


def test_measures_score_every_candidate_and_select(config: Config) -> None:
    generate = Generate(config, "f" * 64)
    areas = [candidate.measures["area"] for candidate in generate(UNIT).candidates]
    least = float(np.median(areas))
    config.filter.measures[1].least = least
    generate.scorer = Scorer(config.filter, "cpu")
    result = generate(UNIT)
    assert [candidate.measures["area"] for candidate in result.candidates] == areas
    for candidate in result.candidates:
        assert set(candidate.measures) == {"ssim", "area"}
        assert (candidate.reason == "area") == (np.float32(candidate.measures["area"]) < np.float32(least))
    assert 0 < len(result.samples) < len(areas)
    assert "area" in {candidate.reason for candidate in result.candidates}
    rows = scores_table(UNIT.pairs, result.candidates)
    assert rows.schema.names == [*SCORES.names, "ssim", "area"]
    assert measures_of(rows.schema) == ["ssim", "area"]
    for sample in result.samples:
        before, after = sample.input_image[None], sample.edited_image[None]
        assert sample.metadata["ssim"] == pytest.approx(Ssim().score(before, after)[0])
        assert sample.metadata["area"] == pytest.approx(ChangedArea(0.02).score(before, after)[0])
        assert np.float32(sample.metadata["area"]) >= np.float32(least)


def test_an_unreachable_bound_rejects_every_candidate(config: Config) -> None:
    config.filter.measures[0].most = -1.0
    scorer = Scorer(config.filter, "cpu")
    images = list(np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8))
    scores = scorer.score(images, images[::-1], [UNIT.pairs[0]] * 3)
    chosen = filters.choose([0, 1, 2], scores.clip, scorer.thresholds, scores.rejections)
    assert chosen == scorer.verdicts(scores) == ["ssim"] * 3
    part = scores.part(slice(1, 2))
    assert part.measures_of(0) == scores.measures_of(1)
    assert part.rejections == ("ssim",)


@pytest.mark.parametrize(
    ("listed", "match"),
    [
        ("[{kind:ssim},{kind:ssim}]", "two scores are called ssim"),
        ("[{kind:ssim,name:clip_sim_0}]", "two scores are called clip_sim_0"),
        ("[{kind:psnr}]", "measure 'psnr' is unknown; there are dino"),
        ("[{kind:ssim,least:0.5,most:0.1}]", "nothing lies between 0.5 and 0.1"),
    ],
)
def test_an_invalid_list_of_measures_is_an_error(
    sd1_folder: Path, clip_folder: Path, listed: str, match: str
) -> None:
    chosen = runs.config(sd1_folder, clip_folder, f"filter.measures={listed}").filter
    with pytest.raises(filters.FilterError, match=match):
        make_measure_specs(chosen)
