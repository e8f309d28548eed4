from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import filters
import p2p
from conf.schema import Config
from filters.measures.changed_area import ChangedArea
from filters.measures.ssim import Ssim
from stages.candidates.scoring import LEFT_EARLY, Scorer, make_measure_specs
from stages.candidates.selection import choose, select
from stages.formats.parquet_tables import SCORES, measures_of, scores_table
from stages.generate import Generate
from stages.records import Candidate, Unit
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
    assert [fields["reason"] for fields in scores] == ["ssim"] * 3
    candidates = [Candidate("a", k, 7, 0.5, 3.0, kept=False, **fields) for k, fields in enumerate(scores)]
    assert scorer.verdicts(candidates) == ["ssim"] * 3
    assert choose(candidates, ["ssim"] * 3, scorer.thresholds, None) == ["ssim"] * 3


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


THREE = Unit(0, runs.PAIRS[:3])
GRID = ("sweep=grid", "sweep.seeds=3", "sweep.taus=[0.25,0.5,1.0]", "sampler.guidance=3.0")
NO_MARGIN = tuple(
    f"early.{name}=0" for name in ("clip_sim_0", "clip_sim_1", "clip_sim_dir", "clip_sim_image")
)


def make_stage(sd1_folder: Path, clip_folder: Path, *more: str) -> Generate:
    return Generate(runs.config(sd1_folder, clip_folder, *GRID, "keep=all-images", *more), "f" * 64)


@pytest.fixture(scope="module")
def median(sd1_folder: Path, clip_folder: Path) -> str:
    """The setting of a threshold that half of the candidates miss."""
    result = make_stage(sd1_folder, clip_folder)(THREE)
    return f"filter.clip_sim_dir={float(np.median([c.clip_sim_dir for c in result.candidates]))}"


def identify(candidate: Candidate) -> tuple[str, int, float]:
    return candidate.pair_id, candidate.sample_index, candidate.tau


def test_stopped_edits_are_recorded_and_others_stay_the_same(
    sd1_folder: Path, clip_folder: Path, median: str
) -> None:
    without = make_stage(sd1_folder, clip_folder, median)(THREE)
    stage = make_stage(sd1_folder, clip_folder, median, "early.at=0.5", *NO_MARGIN)
    stopped = stage(THREE)
    early = {identify(c) for c in stopped.candidates if c.reason == LEFT_EARLY}
    assert 0 < len(early) < len(stopped.candidates)
    assert stopped.rows == stage.editor.usage.rows < without.rows
    finished = {identify(c): c for c in without.candidates}
    assert [identify(c) for c in stopped.candidates] == list(finished)
    for candidate in stopped.candidates:
        if identify(candidate) in early:
            assert not candidate.kept
        else:
            assert candidate.clip_sim_dir == pytest.approx(
                finished[identify(candidate)].clip_sim_dir, abs=0.05
            )
    key = {(c.pair_id, c.sample_index): f"{c.pair_id}-{c.sample_index:03d}" for c in stopped.candidates}
    for rejected in stopped.rejected:
        candidates = [c for c in stopped.candidates if key[c.pair_id, c.sample_index] == rejected.key]
        reasons = {candidates[k].reason for k in rejected.edited_images}
        assert not reasons & {"", LEFT_EARLY}, "a prediction is not stored as an image"


def test_wide_margins_change_nothing(sd1_folder: Path, clip_folder: Path, median: str) -> None:
    wide = [setting.replace("=0", "=9") for setting in NO_MARGIN]
    stopped = make_stage(sd1_folder, clip_folder, median, "early.at=0.5", *wide)(THREE)
    without = make_stage(sd1_folder, clip_folder, median)(THREE)
    assert stopped.rows == without.rows
    assert [c.reason for c in stopped.candidates] == [c.reason for c in without.candidates]


def test_stopping_does_not_depend_on_other_pairs(sd1_folder: Path, clip_folder: Path, median: str) -> None:
    stage = make_stage(sd1_folder, clip_folder, median, "early.at=0.5", *NO_MARGIN)
    together = stage(THREE)
    for pair in THREE.pairs:
        alone = stage(Unit(0, (pair,)))
        candidates = [c for c in together.candidates if c.pair_id == pair.id]
        assert [identify(c) for c in candidates if c.reason == LEFT_EARLY] == [
            identify(c) for c in alone.candidates if c.reason == LEFT_EARLY
        ]


def test_a_stopped_edit_is_rejected_even_if_its_scores_pass(sd1_folder: Path, clip_folder: Path) -> None:
    stage = make_stage(sd1_folder, clip_folder)
    (pair,) = runs.PAIRS[:1]
    request = p2p.SweepRequest(pair.input, pair.output, (0.0, 1.0), steps=4, guidance_scale=3.0)
    sweep = replace(stage.editor.sweep_many([request])[0], stopped=(1,))
    stage.editor.sweep_many = lambda *_: [sweep]
    seeds = stage._sweep([(pair, 0, request)])
    candidates = select(pair, seeds, stage.scorer, stage.config).candidates
    assert [(c.kept, c.reason) for c in candidates] == [(True, ""), (False, LEFT_EARLY)]
