from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

import filters
import p2p
from stages.candidates.scoring import CLIP_SCORES, LEFT_EARLY, SweptSeed
from stages.candidates.selection import (
    RenderedPair,
    choose,
    collect_rejected,
    judge,
    make_samples,
    model_name,
    sample_key,
)
from stages.records import Candidate
from tests import runs
from tests.stages.unit_parts import candidate, pixels

PAIR = runs.PAIRS[0]
CONFIG = runs.config(Path("/some/where/model"), Path("/no/clip"))
THRESHOLDS = filters.Thresholds(0.2, 0.2, 0.1, 0.5, max_per_pair=2)
SCORES = st.sampled_from((-0.1, 0.05, 0.3, 0.6, 0.9))
TAUS = (0.2, 0.5, 1.0)


@st.composite
def scored_candidates(draw: st.DrawFn) -> list[Candidate]:
    """Three τ of each of some seeds, with any scores; some stopped early, some refused by a measure."""
    seeds = draw(st.integers(1, 4))
    return [
        replace(
            candidate(PAIR, sample, draw(st.sampled_from(("", "", LEFT_EARLY, "ssim")))),
            tau=tau,
            **{name: draw(SCORES) for name in CLIP_SCORES},
        )
        for sample in range(seeds)
        for tau in TAUS
    ]


def rendered_pair(candidates: list[Candidate]) -> RenderedPair:
    """The candidates with an image for each, the pixels of which tell it from all others."""
    latents = torch.zeros(1, 1, 1)
    seeds = []
    for start in range(0, len(candidates), len(TAUS)):
        of_seed = tuple(candidates[start : start + len(TAUS)])
        edits = np.stack([pixels(start + place) for place in range(len(TAUS))])
        sweep = p2p.Sweep(pixels(1000 + start), edits, 3, latents, latents[None].repeat(len(TAUS), 1, 1, 1))
        seeds.append(SweptSeed(p2p.SweepRequest(PAIR.input, PAIR.output, TAUS), sweep, of_seed))
    return RenderedPair(PAIR, tuple(seeds))


def judged(candidates: list[Candidate]) -> list[Candidate]:
    reasons = choose(candidates, [one.reason for one in candidates], THRESHOLDS, None)
    return list(judge(candidates, reasons))


@given(scored_candidates())
def test_kept_candidates_reach_every_limit_once_a_seed(candidates: list[Candidate]):
    after = judged(candidates)
    kept = [(old, new) for old, new in zip(candidates, after, strict=True) if new.kept]
    for old, new in kept:
        assert old.reason == new.reason == ""
        assert all(getattr(new, name) >= getattr(THRESHOLDS, name) for name in CLIP_SCORES)
    assert max(Counter(new.sample_index for _, new in kept).values(), default=1) == 1
    assert len(kept) <= THRESHOLDS.max_per_pair
    for old, new in zip(candidates, after, strict=True):
        assert new.kept == (new.reason == "")
        assert (old.reason == LEFT_EARLY) == (new.reason == LEFT_EARLY)
        assert replace(new, kept=old.kept, reason=old.reason) == old, "a verdict changes no score"


@given(scored_candidates())
def test_samples_and_rejected_have_each_finished_image_once(candidates: list[Candidate]):
    rendered = rendered_pair(judged(candidates))
    samples = make_samples([rendered], CONFIG, "f")
    rejected = collect_rejected([rendered])
    stored = [sample.edited_image.tobytes() for sample in samples]
    stored += [image.tobytes() for entry in rejected for image in entry.edited_images.values()]
    finished = [
        image.tobytes()
        for seed in rendered.seeds
        for one, image in zip(seed.candidates, seed.sweep.edits, strict=True)
        if one.reason != LEFT_EARLY
    ]
    assert Counter(stored) == Counter(finished)
    for entry in rejected:
        seed = rendered.seeds[int(entry.key.rpartition("-")[2])]
        assert (entry.input_image == seed.sweep.source).all()
        assert all((seed.sweep.edits[place] == image).all() for place, image in entry.edited_images.items())


@given(scored_candidates())
def test_samples_are_named_and_described_by_their_candidates(candidates: list[Candidate]):
    rendered = rendered_pair(judged(candidates))
    samples = make_samples([rendered], CONFIG, "f")
    kept = [one for one in rendered.candidates if one.kept]
    assert [sample.key for sample in samples] == [sample_key(one) for one in kept]
    assert len({sample.key for sample in samples}) == len(samples)
    for sample, one in zip(samples, kept, strict=True):
        about = sample.metadata
        assert (about["pair_id"], about["sample_index"]) == (PAIR.id, one.sample_index)
        assert (about["p2p_threshold"], about["clip_sim_dir"]) == (one.tau, one.clip_sim_dir)
        assert (about["input_prompt"], sample.edit_prompt) == (PAIR.input, PAIR.edit)
        assert about["model_fingerprint"] == "f"
        assert None not in about.values()


def test_a_local_model_is_named_without_its_path():
    assert model_name(CONFIG) == "model"
