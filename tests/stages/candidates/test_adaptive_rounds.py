from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

import filters
import p2p
from conf.compose import compose_config, to_object
from conf.schema import Config
from stages.candidates.adaptive_rounds import Respond, merge_parts, sweep_in_rounds
from stages.candidates.scoring import CLIP_SCORES, SeedRequest, SweptSeed, make_thresholds, stack_clip_scores
from stages.generate import Generate
from stages.records import Candidate, CaptionPair, Unit
from tests import runs

# Random weights give random scores and the priors are near 0.5, so pairs need different numbers of rounds.
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


def tried(candidates: tuple[Candidate, ...], pair_id: str) -> list[tuple[int, int, float]]:
    return [(c.sample_index, c.seed, c.tau) for c in candidates if c.pair_id == pair_id]


def test_the_candidates_of_a_pair_do_not_depend_on_other_pairs(generate: Generate):
    pairs = runs.PAIRS[:4]
    together = generate(Unit(0, pairs))
    assert len({len(tried(together.candidates, pair.id)) for pair in pairs}) > 1, (
        "pairs need different numbers of rounds"
    )
    for pair, unit in zip(pairs, (pairs[2:], (), pairs[:1], pairs[1:3]), strict=True):
        others = tuple(other for other in unit if other != pair)
        among = generate(Unit(0, (*others, pair)))
        assert tried(among.candidates, pair.id) == tried(together.candidates, pair.id)
        scores = [
            [c.clip_sim_dir for c in result.candidates if c.pair_id == pair.id]
            for result in (among, together)
        ]
        assert scores[0] == pytest.approx(scores[1], abs=0.05)


def test_candidates_come_once_and_rows_are_the_denoiser_s(generate: Generate):
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


def test_the_same_unit_gives_the_same_candidates(generate: Generate):
    first, second = generate(Unit(0, runs.PAIRS[:3])), generate(Unit(0, runs.PAIRS[:3]))
    assert first.candidates == second.candidates
    assert first.rows == second.rows


@pytest.fixture(scope="module")
def bisecting(sd1_folder: Path, clip_folder: Path) -> Generate:
    """No edit reaches clip_sim_dir; half reach clip_sim_image at τ = 1 and few at τ = 0: seeds are bisected."""
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
        # Both chances are low, so that a seed is tried at both.
        "sweep.prior=[0.1,0.1]",
        "sweep.bisections=2",
        "sweep.bracket=0.05",
    )
    return Generate(runs.config(sd1_folder, clip_folder, *ADAPTIVE, *settings), "f" * 64)


def test_a_seed_of_two_rounds_is_one_sample_with_all_its_tau(bisecting: Generate):
    result = bisecting(Unit(0, runs.PAIRS[:2]))
    bisected = {(c.pair_id, c.sample_index) for c in result.candidates if 0 < c.tau < 1}
    assert bisected, "some seed is bisected"
    for pair_id, index in bisected:
        own = [c for c in result.candidates if (c.pair_id, c.sample_index) == (pair_id, index)]
        assert [c.tau for c in own][:3] == [0.0, 1.0, 0.5]
        assert len({c.tau for c in own}) == len(own) <= 4
        assert len({c.seed for c in own}) == 1


def test_scores_match_the_images_of_their_candidates(bisecting: Generate):
    pairs = runs.PAIRS[:2]
    swept = sweep_in_rounds(pairs, bisecting.config, bisecting.scorer, bisecting._sweep_queue)
    for pair, seeds in zip(pairs, swept, strict=True):
        for seed in seeds:
            edits = seed.sweep.edits
            assert len(edits) == len(seed.request.taus) == seed.sweep.edit_latents.shape[0]
            again = bisecting.scorer.score([seed.sweep.source] * len(edits), list(edits), [pair] * len(edits))
            for fields, candidate in zip(again, seed.candidates, strict=True):
                assert fields["clip_sim_dir"] == pytest.approx(candidate.clip_sim_dir, abs=0.02)
            alone = bisecting.editor.sweep_many([seed.request])[0]
            assert np.abs(alone.edits.astype(int) - edits.astype(int)).max() <= 1


def test_a_bisected_seed_keeps_the_source_that_was_finished() -> None:
    def part(value: int, stopped: tuple[int, ...], taus: tuple[float, ...]) -> SweptSeed:
        image = np.full((2, 2, 3), value, np.uint8)
        latents = torch.full((4, 1, 1), float(value))
        edits, edit_latents = np.stack([image] * len(taus)), torch.stack([latents] * len(taus))
        scores = dict.fromkeys(CLIP_SCORES, 0.5)
        candidates = [Candidate("a", 0, 7, tau, 3.0, kept=False, reason="", **scores) for tau in taus]
        return SweptSeed(
            p2p.SweepRequest("a cat", "a dog", taus, seed=7),
            p2p.Sweep(image, edits, 10, latents, edit_latents, stopped),
            tuple(candidates),
        )

    merged = merge_parts([part(1, (0, 1), (0.0, 1.0)), part(2, (0,), (0.2, 0.8)), part(3, (), (0.5,))])
    assert merged.sweep.stopped == (0, 1, 2)
    assert merged.sweep.source[0, 0, 0] == 2 == merged.sweep.source_latents[0, 0, 0]
    assert merged.sweep.edits[:, 0, 0, 0].tolist() == [1, 1, 2, 2, 3]
    assert merged.sweep.rows == 30
    assert merged.request.taus == (0.0, 1.0, 0.2, 0.8, 0.5)
    assert tuple(candidate.tau for candidate in merged.candidates) == merged.request.taus


class DrawnScores:
    """A scorer whose outcomes are drawn for each pair, seed and τ: pairs need 4 to some 20 seeds."""

    def __init__(self, config: Config) -> None:
        self.thresholds = make_thresholds(config.filter)

    def score_sweeps(self, requests: Sequence[SeedRequest], sweeps: Sequence[p2p.Sweep]) -> list[SweptSeed]:
        swept = []
        for (pair, sample, request), sweep in zip(requests, sweeps, strict=True):
            fields = [self.draw(pair.id, sample, tau) for tau in request.taus]
            candidates = [
                Candidate(pair.id, sample, request.seed, tau, 5.0, kept=False, reason="", **scores)
                for tau, scores in zip(request.taus, fields, strict=True)
            ]
            swept.append(SweptSeed(request, sweep, tuple(candidates)))
        return swept

    def draw(self, pair_id: str, sample: int, tau: float) -> dict[str, float]:
        drawn = random.Random(f"{pair_id}:{sample}")
        difficulty = random.Random(pair_id).random()
        good, low, width, strong = (drawn.random() for _ in range(4))
        scores = {name: getattr(self.thresholds, name) + 0.01 for name in CLIP_SCORES}
        low = low * 0.6 - 0.1
        if good < 0.1 + 0.4 * difficulty**2:
            scores["clip_sim_0"] -= 0.02
        elif tau < low:
            scores["clip_sim_image"] -= 0.02
        elif tau > low + 0.3 + width * 0.6:
            scores["clip_sim_dir"] -= 0.02
        elif strong < 0.9 - 0.6 * difficulty:
            scores["clip_sim_dir"] += 0.3
        return scores

    def verdicts(self, candidates: Sequence[Candidate]) -> list[str]:
        return filters.find_missed_thresholds(stack_clip_scores(candidates), self.thresholds)


def test_padded_batches_of_a_unit_are_full(sd1_folder: Path, monkeypatch: pytest.MonkeyPatch):
    """The order of the work depends on outcomes alone, so here the denoiser and the decoder do nothing."""
    config = to_object(
        compose_config(["sweep=adaptive", "model=sd15", "sampler.steps=12"], "/nowhere/{}".format)
    )
    assert config.unit_pairs == 32
    editor = p2p.load(sd1_folder, device="cpu")
    editor.pad = True
    shapes = set()

    def denoise(latents: torch.Tensor, *_: object) -> torch.Tensor:
        shapes.add(len(latents))
        return torch.zeros_like(latents)

    monkeypatch.setattr(editor.family, "denoise", denoise)
    monkeypatch.setattr(editor.family, "decoder", lambda latents: np.zeros((len(latents), 1, 1, 3), np.uint8))
    scorer = DrawnScores(config)

    def sweep_queue(requests: Sequence[SeedRequest], respond: Respond) -> None:
        numbered = list(requests)

        def score(finished: list[tuple[int, p2p.Sweep]]) -> list[p2p.SweepRequest]:
            swept = scorer.score_sweeps([numbered[n] for n, _ in finished], [sweep for _, sweep in finished])
            following = respond([(n, seed) for (n, _), seed in zip(finished, swept, strict=True)])
            numbered.extend(following)
            return [request for *_, request in following]

        editor.sweep_queue([request for *_, request in requests], score)

    pairs = [
        CaptionPair(f"a red ball, {k}", "make it blue", f"a blue ball, {k}") for k in range(config.unit_pairs)
    ]
    swept = sweep_in_rounds(pairs, config, scorer, sweep_queue)
    assert {len(seeds) for seeds in swept} >= {4, 16}, "pairs need different numbers of seeds"
    usage = editor.usage
    assert shapes == {32}
    assert usage.padding <= 0.05 * (usage.rows + usage.padding)
