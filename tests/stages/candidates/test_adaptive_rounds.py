from __future__ import annotations

from collections import defaultdict
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import filters
from stages.candidates.adaptive import Outcome
from stages.candidates.adaptive_rounds import in_rounds, told
from stages.generate import Generate
from stages.records import Candidate, Unit
from tests import runs

THRESHOLDS = filters.Thresholds(0.2, 0.2, 0.2, 0.75)
# No τ is certain beforehand, and scores of random weights are of any size: rounds differ between pairs.
ADAPTIVE = (
    "sweep=adaptive",
    "sweep.seeds=5",
    "sweep.taus=[0.25,0.5,1.0]",
    "sweep.prior=[0.4,0.5,0.6]",
    "sweep.patience=9",
    "sampler.guidance=3.0",
    "filter.max_per_pair=2",
)


@pytest.fixture(scope="module")
def quantiles(sd1_folder: Path, clip_folder: Path) -> dict[str, float]:
    """Thresholds at which half of the candidates fail by each of two scores."""
    grid = ("sweep=grid", "sweep.seeds=5", "sweep.taus=[0.5,1.0]")
    result = Generate(runs.config(sd1_folder, clip_folder, *grid), "f" * 64)(Unit(0, runs.PAIRS[:4]))
    names = ("clip_sim_dir", "clip_sim_image")
    return {name: float(np.median([getattr(c, name) for c in result.candidates])) for name in names}


@pytest.fixture(scope="module")
def generate(sd1_folder: Path, clip_folder: Path, quantiles: dict[str, float]) -> Generate:
    filtered = [f"filter.{name}={value}" for name, value in quantiles.items()]
    return Generate(runs.config(sd1_folder, clip_folder, *ADAPTIVE, *filtered, "sweep.aim=0"), "f" * 64)


@pytest.mark.parametrize(
    ("scores", "reason", "outcome", "lack"),
    [
        ((0.3, 0.3, 0.3, 0.8), "", Outcome.passed, 0.0),
        ((0.1, 0.3, 0.3, 0.7), "clip_sim_0", Outcome.source, 0.1),
        ((0.3, 0.3, 0.3, 0.7), "clip_sim_image", Outcome.larger, 0.05),
        ((0.3, 0.3, 0.1, 0.7), "clip_sim_dir", Outcome.larger, 0.1),
        ((0.3, 0.3, 0.1, 0.8), "clip_sim_dir", Outcome.smaller, 0.1),
        ((0.3, 0.15, 0.3, 0.8), "clip_sim_1", Outcome.smaller, 0.05),
        ((0.3, 0.3, 0.3, 0.8), "ssim", Outcome.measure, 0.0),
    ],
)
def test_what_a_candidate_says(scores: tuple[float, ...], reason: str, outcome: Outcome, lack: float):
    one = told(3, 0.5, scores, reason, THRESHOLDS)
    assert (one.sample, one.tau, one.outcome) == (3, 0.5, outcome)
    assert one.lack == pytest.approx(lack)
    assert one.direction == pytest.approx(scores[2] - 0.2)


def tried(candidates: tuple[Candidate, ...], pair_id: str) -> list[tuple[int, int, float]]:
    return [(c.sample_index, c.seed, c.tau) for c in candidates if c.pair_id == pair_id]


def test_what_is_tried_of_a_pair_does_not_depend_on_its_company(generate: Generate):
    pairs = runs.PAIRS[:4]
    together = generate(Unit(0, pairs))
    assert len({len(tried(together.candidates, pair.id)) for pair in pairs}) > 1, "pairs end apart"
    for pair, company in zip(pairs, (pairs[2:], (), pairs[:1], pairs[1:3]), strict=True):
        others = tuple(other for other in company if other != pair)
        among = generate(Unit(0, (*others, pair)))
        assert tried(among.candidates, pair.id) == tried(together.candidates, pair.id)
        scores = [
            [c.clip_sim_dir for c in result.candidates if c.pair_id == pair.id]
            for result in (among, together)
        ]
        assert scores[0] == pytest.approx(scores[1], abs=0.05)


def test_candidates_are_told_once_and_rows_are_those_of_the_denoiser(generate: Generate):
    before = generate.editor.usage.rows
    result = generate(Unit(0, runs.PAIRS[:3]))
    assert result.rows == generate.editor.usage.rows - before
    places = [(c.pair_id, c.sample_index, c.tau) for c in result.candidates]
    assert len(set(places)) == len(places)
    for pair in runs.PAIRS[:3]:
        own = [c for c in result.candidates if c.pair_id == pair.id]
        assert [c.sample_index for c in own] == sorted(c.sample_index for c in own)
        passing = {c.sample_index for c in own if c.kept or c.reason in ("other_tau_of_seed", "max_per_pair")}
        assert sum(c.kept for c in own) == min(2, len(passing))
        assert len(passing) >= 2 or {c.sample_index for c in own} == set(range(5))


def test_the_same_unit_makes_the_same_candidates_again(generate: Generate):
    first, second = generate(Unit(0, runs.PAIRS[:3])), generate(Unit(0, runs.PAIRS[:3]))
    assert first.candidates == second.candidates
    assert first.rows == second.rows


@pytest.fixture(scope="module")
def halving(sd1_folder: Path, clip_folder: Path) -> Generate:
    """Nothing passes in direction, and what is like enough at τ = 1 is not at 0: seeds are tried halfway."""
    grid = ("sweep=grid", "sweep.seeds=4", "sweep.taus=[0.0,1.0]")
    result = Generate(runs.config(sd1_folder, clip_folder, *grid), "f" * 64)(Unit(0, runs.PAIRS[:2]))
    free, held = (
        float(np.median([c.clip_sim_image for c in result.candidates if c.tau == tau])) for tau in (0, 1)
    )
    assert free < held
    settings = (
        "filter.clip_sim_dir=1.01",
        f"filter.clip_sim_image={(free + held) / 2}",
        "sweep.seeds=4",
        "sweep.taus=[0.0,1.0]",
        # Both promise little, so that both are tried of a seed.
        "sweep.prior=[0.1,0.1]",
        "sweep.bisections=2",
        "sweep.bracket=0.05",
    )
    return Generate(runs.config(sd1_folder, clip_folder, *ADAPTIVE, *settings), "f" * 64)


def test_a_seed_tried_in_two_rounds_is_one_sample_with_all_its_tau(halving: Generate):
    result = halving(Unit(0, runs.PAIRS[:2]))
    halved = {(c.pair_id, c.sample_index) for c in result.candidates if 0 < c.tau < 1}
    assert halved, "some seed is tried again"
    for pair_id, index in halved:
        own = [c for c in result.candidates if (c.pair_id, c.sample_index) == (pair_id, index)]
        assert [c.tau for c in own][:3] == [0.0, 1.0, 0.5]
        assert len({c.tau for c in own}) == len(own) <= 4
        assert len({c.seed for c in own}) == 1


def test_scores_stand_beside_the_images_they_are_of(halving: Generate):
    pairs = runs.PAIRS[:2]
    sweep = partial(halving._sweep, defaultdict(float))
    for pair, swept in zip(pairs, in_rounds(pairs, halving.config, halving.judge, sweep), strict=True):
        inputs = [one.source for one in swept.sweeps for _ in one.edits]
        outputs = [edit for one in swept.sweeps for edit in one.edits]
        assert [len(one.edits) for one in swept.sweeps] == [len(one.taus) for one in swept.asked]
        again = halving.judge(inputs, outputs, [pair] * len(inputs)).scores
        assert again.clip_sim_dir == pytest.approx(swept.judged.scores.clip_sim_dir, abs=0.02)
        for one, asked in zip(swept.sweeps, swept.asked, strict=True):
            alone = halving.editor.sweep_many([asked])[0]
            assert np.abs(alone.edits.astype(int) - one.edits.astype(int)).max() <= 1
            assert one.edit_latents.shape[0] == len(asked.taus)
