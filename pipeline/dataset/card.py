"""Dataset card: the README.md of an output or an export, with the recipe and the rules that every sample passed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from conf.schema import Config, EditMethod
from conf.sweeps import AdaptiveSweep, GridSweep, RandomSweep, Sweep
from filters import Bounds, MeasureSpec
from pipeline.dataset.funnel import Funnel
from stages.candidates.scoring import CLIP_SCORES, make_measure_specs
from stages.candidates.selection import model_name
from stages.formats.tar import EXTENSIONS

CARD = resources.files("pipeline.dataset").joinpath("card.md").read_text(encoding="utf-8")
METHODS = {
    EditMethod.p2p: "Prompt-to-Prompt over a sweep of tau",
    EditMethod.sdedit: "SDEdit over a sweep of strengths",
    EditMethod.same_seed: "the same seed under both captions, without Prompt-to-Prompt,",
}
HASH_BITS = 192  # of the perceptual hash that finds near duplicates


def card(
    config: Config,
    funnel: Funnel,
    grid: bool,
    written: bool = False,
    duplicates: int | None = None,
    splits: Mapping[str, int] | None = None,
) -> str:
    """The text of README.md.

    Args:
        grid: the contact sheet exists.
        written: the caption pairs were written first, into ``pairs/``.
        duplicates: the distance in bits at which ``pairforge refilter`` dropped near duplicates of other pairs.
        splits: samples by split, for the card of an export.
    """
    random = isinstance(config.sweep, RandomSweep)
    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    return environment.from_string(CARD).render(
        config=config,
        grid=grid,
        written=written,
        splits=splits,
        samples=f"{funnel.samples:,}",
        pairs_kept=f"{funnel.pairs_kept:,}",
        pairs=f"{funnel.pairs:,}",
        candidates=f"{funnel.candidates:,}",
        method=METHODS[config.edit.method],
        model=model_name(config),
        clip=Path(config.filter.name.removeprefix("local-dir:")).name,
        ext=EXTENSIONS[config.shards.format],
        sweep=_describe_sweep(config.sweep),
        guidance="" if random else f", guidance {config.sampler.guidance:g}",
        rules=list(_rules(config, duplicates)),
    )


def _describe_sweep(sweep: Sweep) -> str:
    if isinstance(sweep, RandomSweep):
        return (
            f"{sweep.samples} seeds, each with a tau from {sweep.tau_min} to {sweep.tau_max} and a guidance from "
            f"{sweep.guidance_min} to {sweep.guidance_max}"
        )
    assert isinstance(sweep, GridSweep | AdaptiveSweep)
    taus = ", ".join(map(str, sweep.taus))
    if isinstance(sweep, AdaptiveSweep):
        return (
            f"up to {sweep.seeds} seeds, each at up to {sweep.taus_per_seed} of tau {taus}, chosen by the scores of "
            "the pair's earlier seeds"
        )
    return f"{sweep.seeds} seeds, each with tau {taus}"


def _rules(config: Config, duplicates: int | None) -> Iterator[tuple[str, str]]:
    """The name and text of each rule that a kept sample passed."""
    choice, early = config.filter, config.early
    clip = ", ".join(f"{name} >= {getattr(choice, name)}" for name in CLIP_SCORES)
    yield "kept", f"{clip}; at most one tau of each seed and {choice.max_per_pair} samples a caption pair"
    for spec in make_measure_specs(choice):
        yield f"and by {spec.score}", _describe_measure(spec)
    if choice.near_duplicate is not None:
        yield (
            "near duplicates",
            f"no sample whose input or edit differs from that of a better sample of its caption pair in "
            f"{choice.near_duplicate} bits or fewer, of a perceptual hash of {HASH_BITS}",
        )
    if duplicates is not None:
        yield (
            "near duplicates of others",
            f"no sample whose images both differ from those of an earlier caption pair in {duplicates} bits or fewer, "
            f"of a perceptual hash of {HASH_BITS}",
        )
    if early.at is not None:
        margins = ", ".join(f"{name} by {getattr(early, name):g}" for name in CLIP_SCORES)
        yield (
            "stopped early",
            f"edits whose prediction after {early.at:g} of the steps missed a threshold by more than a margin "
            f"({margins})",
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
