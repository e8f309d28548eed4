"""Dataset card: the README.md of an output or an export, with the recipe and the rules that every sample passed."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from conf.schema import Config
from filters import Bounds, MeasureSpec
from pipeline.dataset.funnel import Funnel
from stages.candidates.reconstruction import RECONSTRUCTION_SCORES
from stages.candidates.scoring import CLIP_SCORES, make_measure_specs
from stages.candidates.selection import model_name
from stages.formats.tar import EXTENSIONS

CARD = resources.files("pipeline.dataset").joinpath("card.md").read_text(encoding="utf-8")


def card(
    config: Config,
    funnel: Funnel,
    grid: bool,
    written: bool = False,
    duplicates: int | None = None,
    splits: Mapping[str, int] | None = None,
    images: bool = False,
) -> str:
    """Return the text of README.md.

    Args:
        grid: the contact sheet exists.
        written: the caption pairs were written first, into ``pairs/``.
        duplicates: the distance in bits at which ``pairforge refilter`` dropped near duplicates of other pairs.
        splits: samples by split, for the card of an export.
        images: some caption pair has an image.
    """
    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    return environment.from_string(CARD).render(
        config=config,
        grid=grid,
        written=written,
        splits=splits,
        images=images,
        reconstruction_scores=RECONSTRUCTION_SCORES,
        samples=f"{funnel.samples:,}",
        pairs_kept=f"{funnel.pairs_kept:,}",
        pairs=f"{funnel.pairs:,}",
        candidates=f"{funnel.candidates:,}",
        model=model_name(config),
        clip=Path(config.filter.name.removeprefix("local-dir:")).name,
        ext=EXTENSIONS[config.shards.format],
        clip_scores=CLIP_SCORES,
        measures=[(spec.score, _describe_measure(spec)) for spec in make_measure_specs(config.filter)],
        duplicates=duplicates,
    )


def _describe_measure(spec: MeasureSpec) -> str:
    limits = []
    if spec.bounds.least != Bounds().least:
        limits.append(f">= {spec.bounds.least:g}")
    if spec.bounds.most != Bounds().most:
        limits.append(f"<= {spec.bounds.most:g}")
    model = Path(spec.model).name if Path(spec.model).exists() else spec.model
    source = ", ".join(part for part in (spec.kind, model, spec.label) if part)
    return f"{' and '.join(limits) or 'any value'} ({source})"
