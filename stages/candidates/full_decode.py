"""Survivors of a small decoder's images, decoded in full and scored again: what is kept is judged by its own pixels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

import p2p
from stages.candidates.scoring import CLIP_SCORES, Judge
from stages.candidates.selection import Rendered
from stages.records import Candidate

FULL_DECODE = "full_decode"


def in_full(rendered: Sequence[Rendered], editor: p2p.Editor, judge: Judge) -> list[Rendered]:
    """The same with the images and scores of the model's own decoder for every survivor, and for nothing else.

    One that does not reach the thresholds any more is rejected as "full_decode"; no other takes its place.
    """
    survivors = [(n, k) for n, one in enumerate(rendered) for k, c in enumerate(one.candidates) if c.kept]
    result = [replace(one, judged=one.candidates) for one in rendered]
    if not survivors:
        return result
    latents = []
    for n, k in survivors:
        sweep, edit = _place(rendered[n], k)
        latents += [sweep.source_latents, sweep.edit_latents[edit]]
    images = editor.decode(torch.stack(latents))
    pairs = [rendered[n].pair for n, _ in survivors]
    judged = judge(list(images[0::2]), list(images[1::2]), pairs)
    reasons = judge.verdicts(judged)
    for row, (n, k) in enumerate(survivors):
        result[n] = _with_full(result[n], k, images[2 * row], images[2 * row + 1])
        scores: dict[str, Any] = {name: float(getattr(judged.scores, name)[row]) for name in CLIP_SCORES}
        again = replace(
            result[n].candidates[k],
            **scores,
            measures=judged.measures(row),
            kept=not reasons[row],
            reason=FULL_DECODE if reasons[row] else "",
        )
        candidates = (*result[n].candidates[:k], again, *result[n].candidates[k + 1 :])
        result[n] = replace(result[n], candidates=candidates)
    return result


def shifts(rendered: Iterable[Rendered]) -> tuple[int, dict[str, float]]:
    """How many candidates were scored again, and for each score the sum of the absolute differences."""
    count, sums = 0, defaultdict[str, float](float)
    for one in rendered:
        for before, after in zip(one.judged, one.candidates, strict=bool(one.judged)):
            if before.kept:
                count += 1
                for name in CLIP_SCORES:
                    sums[name] += abs(getattr(after, name) - getattr(before, name))
    return count, dict(sums)


def _place(rendered: Rendered, k: int) -> tuple[p2p.Sweep, int]:
    """The sweep of candidate k, and the place of its edit there."""
    candidate: Candidate = rendered.candidates[k]
    asked = rendered.asked[candidate.sample_index]
    return rendered.sweeps[candidate.sample_index], list(asked.taus).index(candidate.tau)


def _with_full(rendered: Rendered, k: int, source: np.ndarray, edited: np.ndarray) -> Rendered:
    sweep, edit = _place(rendered, k)
    edits = sweep.edits.copy()
    edits[edit] = edited
    index = rendered.candidates[k].sample_index
    sweeps = (
        *rendered.sweeps[:index],
        replace(sweep, source=source, edits=edits),
        *rendered.sweeps[index + 1 :],
    )
    return replace(rendered, sweeps=sweeps)
