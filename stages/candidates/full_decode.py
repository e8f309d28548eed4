"""Decodes and scores again, in full, the candidates that passed on the images of a scoring decoder."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from dataclasses import replace

import torch

import p2p
from stages.candidates.scoring import CLIP_SCORES, Scorer
from stages.candidates.selection import RenderedPair, judge

FULL_DECODE = "full_decode"


def rescore_survivors(
    rendered: Sequence[RenderedPair], editor: p2p.Editor, scorer: Scorer, shifts: MutableMapping[str, float]
) -> tuple[list[RenderedPair], int]:
    """Gives every kept candidate the images and scores of the model's own decoder; also the number of these candidates.

    A candidate that now misses a threshold is rejected as "full_decode". No other takes its place. Adds the absolute
    changes of each score to ``shifts``.
    """
    survivors = [
        (n, candidate, place)
        for n, pair in enumerate(rendered)
        for seed in pair.seeds
        for place, candidate in enumerate(seed.candidates)
        if candidate.kept
    ]
    if not survivors:
        return list(rendered), 0
    seeds = [list(pair.seeds) for pair in rendered]
    latents = []
    for n, candidate, place in survivors:
        sweep = seeds[n][candidate.sample_index].sweep
        latents += [sweep.source_latents, sweep.edit_latents[place]]
    images = editor.decode(torch.stack(latents))
    edits = list(images[1::2])
    sweeps, reconstructions, reconstructed = scorer.with_originals(
        [
            replace(seeds[n][candidate.sample_index].sweep, source=source)
            for (n, candidate, _), source in zip(survivors, images[0::2], strict=True)
        ]
    )
    sources = [sweep.source for sweep in sweeps]
    scores = scorer.score(sources, edits, [rendered[n].pair for n, *_ in survivors], reconstructed)
    rescored = [replace(survivor[1], **fields) for survivor, fields in zip(survivors, scores, strict=True)]
    verdicts = [FULL_DECODE if reason else "" for reason in scorer.verdicts(rescored)]
    for (n, old, place), new, source, edit, reconstruction in zip(
        survivors, judge(rescored, verdicts), sources, edits, reconstructions, strict=True
    ):
        seed = seeds[n][old.sample_index]
        seed_edits, candidates = seed.sweep.edits.copy(), list(seed.candidates)
        seed_edits[place], candidates[place] = edit, new
        sweep = replace(seed.sweep, source=source, edits=seed_edits)
        seeds[n][old.sample_index] = replace(
            seed, sweep=sweep, candidates=tuple(candidates), reconstruction=reconstruction
        )
        for name in CLIP_SCORES:
            shifts[name] = shifts.get(name, 0.0) + abs(getattr(new, name) - getattr(old, name))
    pairs = [replace(pair, seeds=tuple(of_pair)) for pair, of_pair in zip(rendered, seeds, strict=True)]
    return pairs, len(survivors)
