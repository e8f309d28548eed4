"""What a kept sample has passed, line by line, for the dataset card."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from conf.schema import Config
from filters import Bounds, MeasureSpec
from stages.candidates.scoring import CLIP_SCORES, specs

BITS = 192
"""Of the perceptual hash that near duplicates are looked for by."""


def rules(config: Config, duplicates: int | None = None) -> Iterator[tuple[str, str]]:
    """Each rule's name and words; ``duplicates`` is what `pairforge refilter` was told of other caption pairs."""
    chosen, early = config.filter, config.early
    clip = ", ".join(f"{name} >= {getattr(chosen, name)}" for name in CLIP_SCORES)
    yield "kept", f"{clip}; at most one tau a seed and {chosen.max_per_pair} samples a caption pair"
    for spec in specs(chosen):
        yield f"and by {spec.score}", _measure(spec)
    if chosen.near_duplicate is not None:
        yield (
            "near duplicates",
            f"of a caption pair no sample whose input or edit differs from a better one's in {chosen.near_duplicate} "
            f"bits or fewer, of a perceptual hash of {BITS}",
        )
    if duplicates is not None:
        yield (
            "near duplicates of others",
            f"no sample of which both images differ from an earlier caption pair's in {duplicates} bits or fewer, of "
            f"a perceptual hash of {BITS}",
        )
    if early.at is not None:
        margins = ", ".join(f"{name} by {getattr(early, name):g}" for name in CLIP_SCORES)
        yield (
            "left early",
            f"edits that after {early.at:g} of the steps missed a threshold by more than a margin ({margins}), as far "
            "as could be predicted there",
        )


def _measure(spec: MeasureSpec) -> str:
    ends = [
        f"{sign} {end:g}"
        for sign, end, none in (
            (">=", spec.bounds.least, Bounds().least),
            ("<=", spec.bounds.most, Bounds().most),
        )
        if end != none
    ]
    of = Path(spec.model).name if Path(spec.model).exists() else spec.model
    told = [part for part in (spec.kind, of, spec.label) if part]
    return f"{' and '.join(ends) or 'any value'} ({', '.join(told)})"
