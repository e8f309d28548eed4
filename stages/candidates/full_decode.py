"""Decodes and scores again, in full, the candidates that passed on the images of a scoring decoder."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from dataclasses import replace

import numpy as np
import torch

import p2p
from stages.candidates.scoring import CLIP_SCORES, Scorer
from stages.candidates.selection import RenderedPair
from stages.records import Candidate

FULL_DECODE = "full_decode"


def rescore_survivors(
    rendered: Sequence[RenderedPair], editor: p2p.Editor, scorer: Scorer, shifts: MutableMapping[str, float]
) -> tuple[list[RenderedPair], int]:
    """Gives every kept candidate the images and scores of the model's own decoder; also the number of these candidates.

    A candidate that now misses a threshold is rejected as "full_decode". No other takes its place. Adds the absolute
    changes of each score to ``shifts``.
    """
    result = list(rendered)
    survivors = [
        (n, candidate) for n, pair in enumerate(rendered) for candidate in pair.candidates if candidate.kept
    ]
    if not survivors:
        return result, 0
    latents = []
    for n, candidate in survivors:
        sweep, edit = rendered[n].find_edit(candidate)
        latents += [sweep.source_latents, sweep.edit_latents[edit]]
    images = editor.decode(torch.stack(latents))
    sources, edits = list(images[0::2]), list(images[1::2])
    scores = scorer.score(sources, edits, [rendered[n].pair for n, _ in survivors])
    for place, reason in enumerate(scorer.verdicts(scores)):
        n, candidate = survivors[place]
        rescored = replace(
            candidate,
            **scores.clip_of(place),
            measures=scores.measures_of(place),
            kept=not reason,
            reason=FULL_DECODE if reason else "",
        )
        result[n] = _replace_candidate(result[n], candidate, rescored, sources[place], edits[place])
        for name in CLIP_SCORES:
            shifts[name] = shifts.get(name, 0.0) + abs(getattr(rescored, name) - getattr(candidate, name))
    return result, len(survivors)


def _replace_candidate(
    rendered: RenderedPair, old: Candidate, new: Candidate, source: np.ndarray, edited: np.ndarray
) -> RenderedPair:
    sweep, edit = rendered.find_edit(old)
    edits = sweep.edits.copy()
    edits[edit] = edited
    seeds = list(rendered.seeds)
    seeds[old.sample_index] = replace(
        seeds[old.sample_index], sweep=replace(sweep, source=source, edits=edits)
    )
    candidates = tuple(new if candidate is old else candidate for candidate in rendered.candidates)
    return replace(rendered, seeds=tuple(seeds), candidates=candidates)
