"""Background preserved and edits made, by Prompt-to-Prompt, the same seed and SDEdit.

Shipped caption pairs are edited by Prompt-to-Prompt at several τ, by the same seed without injection (τ = 0) and by
SDEdit at several strengths, all from the same source image.

The background is outside of the changed object, or inside the objects where the ground or the sky changes. It is
estimated from the source alone, so that it is the same for every method: the cross-attention map of the source's word
is cut where such maps overlap most with the true masks of drawn scenes, and dilated, because a new shape may need some
pixels more. Added objects and styles have no background.

An edit is made if the mini world's CLIP prefers the edited caption to the source's and to all captions that differ in
the edited attribute.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import numpy as np
from matplotlib import pyplot as plt

import miniworld
import p2p
from benchmarks.common.markdown import markdown_table
from benchmarks.common.results_file import FIGURES, publish
from benchmarks.truth.image_functions import dilate, encode, psnr
from benchmarks.truth.shipped_edits import shipped_edits
from benchmarks.truth.word_maps import best_share, segment, word_maps
from miniworld.edits import Edit
from miniworld.evaluate import SmallClip
from miniworld.scene import variations
from miniworld.scene_captions import caption

STEPS, GUIDANCE = 20, 5.0
ATTRIBUTE = {"replace": "object", "add": "object", "remove": "object"}  # of other kinds it is the kind's name


@dataclass(frozen=True)
class Method:
    """A value of ``edit.method`` with the values that are tried, and how tables and plots show them."""

    name: str
    method: str
    values: tuple[float, ...]
    label: str
    colour: str
    strength: bool = False  # values are strengths, of which τ is 1 − strength

    def tau(self, value: float) -> float:
        return round(1 - value, 6) if self.strength else value


P2P = Method("Prompt-to-Prompt", "p2p", (0.1, 0.2, 0.4, 0.6, 0.8, 1.0), "τ = {:g}", "#1f5fbf")
SAME_SEED = Method("same seed", "same_seed", (0.0,), "τ = {:g}", "#555555")
SDEDIT = Method("SDEdit", "sdedit", (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9), "strength {:g}", "#d2691e", True)
METHODS = (P2P, SAME_SEED, SDEDIT)


@dataclass(frozen=True)
class Result:
    """One edit: PSNR of its background in dB (None without one), and whether CLIP reads the edited attribute."""

    method: Method
    value: float
    psnr: float | None
    made: bool


def changed_words(edit: Edit) -> tuple[str, ...]:
    """The source's word for the object that changes, if one does."""
    if edit.kind in ("add", "style", "ground", "sky"):
        return ()
    return tuple(thing.kind for thing in edit.before.things if thing not in edit.after.things)


def kept_words(edit: Edit) -> tuple[str, ...]:
    """The source's words for the objects if everything around them changes."""
    return tuple(thing.kind for thing in edit.before.things) if edit.kind in ("ground", "sky") else ()


def measure(editor: p2p.Editor, clip: SmallClip, edits: Sequence[Edit], seeds: int) -> list[Result]:
    """Make every edit with every seed by every method at every value."""
    runs = [(edit, seed) for edit in edits for seed in range(seeds)]
    backgrounds: list[np.ndarray | None] = []
    results = []
    for method in METHODS:
        requests = [
            p2p.SweepRequest(
                caption(edit.before),
                caption(edit.after),
                tuple(map(method.tau, method.values)),
                seed=seed,
                steps=STEPS,
                guidance_scale=GUIDANCE,
                method=method.method,
            )
            for edit, seed in runs
        ]
        sweeps = editor.sweep_many(requests)
        # All methods have the same sources.
        backgrounds = backgrounds or _backgrounds(editor, [edit for edit, _ in runs], sweeps)
        for (edit, _), sweep, background in zip(runs, sweeps, backgrounds, strict=True):
            made = _read_edits(clip, edit, sweep.edits)
            for value, image, is_made in zip(method.values, sweep.edits, made, strict=True):
                quality = None if background is None else psnr(sweep.source, image, background)
                results.append(Result(method, value, quality, is_made))
    return results


def _backgrounds(
    editor: p2p.Editor, edits: Sequence[Edit], sweeps: Sequence[p2p.Sweep]
) -> list[np.ndarray | None]:
    """Bool (64, 64) of the background by the source's maps; None for edits without one."""
    share = best_share(editor, 64)
    words = [changed_words(edit) or kept_words(edit) for edit in edits]
    located = [k for k, edit_words in enumerate(words) if edit_words]
    latents = encode([sweeps[k].source for k in located])
    captions = [caption(edits[k].before) for k in located]
    maps = word_maps(editor, latents, captions, [words[k] for k in located])
    backgrounds: list[np.ndarray | None] = [None] * len(edits)
    for k, heats in zip(located, maps, strict=True):
        objects = np.any([segment(heat, share) for heat in heats], axis=0)
        backgrounds[k] = objects if kept_words(edits[k]) else ~dilate(objects)
    return backgrounds


def _read_edits(clip: SmallClip, edit: Edit, images: np.ndarray) -> list[bool]:
    """For each image, whether CLIP prefers the edited caption to all others that differ in the edited attribute."""
    name = ATTRIBUTE.get(edit.kind, edit.kind)
    false = [edit.before, *(other for attribute, other in variations(edit.after) if attribute == name)]
    similarity = clip.images(list(images)) @ clip.texts(list(map(caption, (edit.after, *false)))).T
    picked: list[bool] = (similarity[:, 0] > similarity[:, 1:].amax(1)).tolist()
    return picked


def table(results: Sequence[Result]) -> str:
    """Means by method and value: PSNR of the background, and the share of edits made."""
    records: list[tuple[object, ...]] = []
    for method, value in dict.fromkeys((result.method, result.value) for result in results):
        chosen = [result for result in results if (result.method, result.value) == (method, value)]
        psnrs = [result.psnr for result in chosen if result.psnr is not None]
        made = np.mean([result.made for result in chosen])
        records.append((method.name, method.label.format(value), np.mean(psnrs) if psnrs else None, made))
    return markdown_table(["method", "at", "background PSNR, dB:.1f", "edited attribute:.0%"], records)


def curve(results: Sequence[Result], method: Method) -> list[tuple[float, float, float]]:
    """(value, share of edits made, dB of background) of a method, over the edits that have a background."""
    chosen = [(r.value, r.made, r.psnr) for r in results if r.method == method and r.psnr is not None]
    means = []
    for value in dict.fromkeys(value for value, _, _ in chosen):
        made, quality = zip(*((a, p) for v, a, p in chosen if v == value), strict=True)
        means.append((value, float(np.mean(made)), float(np.mean(quality))))
    return means


def plot(curves: Mapping[Method, Sequence[tuple[float, float, float]]], path: Path) -> None:
    """Draw one curve a method: on the left background over edits made, on the right both over τ."""
    figure, (trade, by_tau) = plt.subplots(1, 2, figsize=(12.5, 5), layout="constrained")
    success = by_tau.twinx()
    for method, points in curves.items():
        colour = method.colour
        made, background = [100 * point[1] for point in points], [point[2] for point in points]
        trade.plot(made, background, "o-", color=colour, label=method.name)
        offset, align = ((-7, 3), "right") if method.strength else ((7, 3), "left")
        for (value, *_), xy in zip(points, zip(made, background, strict=True), strict=True):
            trade.annotate(f"{value:g}", xy, offset, textcoords="offset points", color=colour, ha=align)
        taus = [method.tau(value) for value, *_ in points]
        by_tau.plot(taus, background, "o-", color=colour, label=f"{method.name}: background")
        success.plot(taus, made, "s:", color=colour, label=f"{method.name}: edits made")
    trade.set(xlabel="edits made: CLIP reads the edited attribute (%)", ylabel="background PSNR (dB)")
    trade.set_title("Background over edits made (beside the points: τ, SDEdit's strength)", fontsize=11)
    by_tau.set(xlabel="τ (SDEdit: 1 − strength)", ylabel="background PSNR (dB), solid", xlim=(-0.03, 1.03))
    success.set(ylabel="edits made (%), dotted", ylim=(0, 102))
    by_tau.set_title("Over the share of steps taken from the source", fontsize=11)
    for axes in (trade, by_tau):
        axes.grid(alpha=0.25)
        axes.spines[["top"]].set_visible(False)
    trade.legend(frameon=False)
    legends = [axes.get_legend_handles_labels() for axes in (by_tau, success)]
    handles, labels = ([entry for legend in legends for entry in legend[k]] for k in (0, 1))
    figure.legend(handles, labels, frameon=False, fontsize=9, loc="outside lower right", ncols=3)
    figure.savefig(path, dpi=110)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, plot, and write the section."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.truth.background_preservation", description=__doc__
    )
    parser.add_argument("--pairs", type=int, default=6, help="caption pairs of each kind (default 6)")
    parser.add_argument("--seeds", type=int, default=1, help="of each pair (default 1)")
    parser.add_argument("--plot", type=Path, default=FIGURES / "background.png")
    options = parser.parse_args(arguments)
    editor, clip = p2p.load(miniworld.MODEL, device="cpu"), SmallClip(miniworld.CLIP)
    edits = shipped_edits(options.pairs)
    results = measure(editor, clip, edits, options.seeds)
    publish(
        "Background and success of edits",
        "benchmarks.truth.background_preservation",
        f"{len(edits)} shipped caption pairs, {options.pairs} of each kind, {options.seeds} seed(s), {STEPS} DDIM "
        f"steps, guidance {GUIDANCE:g}; cross gain 1, self gain 0.5. SDEdit's strength is 1 − τ. The background is "
        "outside of the changed object, or inside the objects where ground or sky change, by the source's attention, "
        "so it is the same for all methods; added objects and styles have none. Plot: docs/figures/background.png."
        f"\n\n{table(results)}",
    )
    plot({method: curve(results, method) for method in (P2P, SDEDIT, SAME_SEED)}, options.plot)


if __name__ == "__main__":
    main()
