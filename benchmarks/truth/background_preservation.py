"""Background preserved and edits made, by Prompt-to-Prompt, the same seed and SDEdit.

Shipped caption pairs are edited by Prompt-to-Prompt at several τ, by the same seed without injection (τ = 0) and by
SDEdit at several strengths, all from the same source image.

The background is what is outside of the changed object, or inside the objects where the ground or the sky changes. It
is estimated from the source alone, so that it is the same for every method: the cross-attention map of the source's
word, cut where maps overlap most with the true masks of drawn scenes (`benchmarks.truth.attention_overlap`), and
dilated, since a new shape may need some pixels more. Added objects and styles have no background.

An edit is made if the mini world's CLIP picks the edited caption: among 16 (the source's, and 14 that are false by one
attribute), and among the source's and all that are false in the edited attribute.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import numpy as np
from matplotlib import pyplot as plt
from PIL import Image, ImageFilter

import miniworld
import p2p
from benchmarks.common.markdown import markdown_table
from benchmarks.common.results_file import write_section
from benchmarks.truth.attention_overlap import best_share, drawn
from benchmarks.truth.word_maps import encode, segment, word_maps
from miniworld.evaluate import CHOICES, SmallClip
from miniworld.language import caption, scene_of
from miniworld.scene import Scene, variations

STEPS, GUIDANCE = 20, 5.0
TAUS = (0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
STRENGTHS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
WIDENED = 7  # pixels of the window of the greatest neighbour: three to each side
LEFT_ALONE = 60.0  # dB, for backgrounds that are the same to the last bit
ATTRIBUTE = {"replace": "object", "add": "object", "remove": "object"}  # of the others their kind's own name
P2P, SDEDIT, SAME_SEED = "Prompt-to-Prompt", "SDEdit", "same seed"
SAYING = {P2P: "τ = {:g}", SDEDIT: "strength {:g}", SAME_SEED: "τ = {:g}"}
SHOWN = ((SAME_SEED, 0.0), (P2P, 0.4), (P2P, 0.8), (SDEDIT, 0.5), (SDEDIT, 0.7), (SDEDIT, 0.9))
TITLE = "Background and success of edits (`python -m benchmarks.truth.background_preservation`)"

# Value (τ, or strength), share of edits that are made, dB of background.
Point = tuple[float, float, float]
COLOURS = ("#1f5fbf", "#d2691e", "#555555")


@dataclass(frozen=True)
class Case:
    """A caption pair of some kind, as scenes."""

    kind: str
    before: Scene
    after: Scene

    @property
    def changed(self) -> tuple[str, ...]:
        """The source's word for the object that changes."""
        if self.kind in ("add", "style", "ground", "sky"):
            return ()
        return tuple(thing.kind for thing in self.before.things if thing not in self.after.things)

    @property
    def kept(self) -> tuple[str, ...]:
        """The source's words for the objects where all around them changes."""
        return tuple(thing.kind for thing in self.before.things) if self.kind in ("ground", "sky") else ()


@dataclass(frozen=True)
class Edited:
    """One edit: PSNR of its background in dB, None without one, and whether CLIP picks its caption."""

    method: str
    value: float
    kind: str
    psnr: float | None
    of_16: bool
    attribute: bool


def cases(path: Path, per_kind: int) -> list[Case]:
    """The first caption pairs of each kind."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    found: dict[str, list[Case]] = {}
    for line in lines:
        case = Case(line["kind"], scene_of(line["input"]), scene_of(line["output"]))
        found.setdefault(case.kind, []).append(case)
    return [case for kind in sorted(found) for case in found[kind][:per_kind]]


def measure(editor: p2p.Editor, clip: SmallClip, chosen: Sequence[Case], seeds: int) -> list[Edited]:
    """Every case and seed by every method at every value."""
    tried = [(case, seed) for case in chosen for seed in range(seeds)]
    ways = [
        (P2P, "p2p", TAUS, TAUS),
        (SAME_SEED, "same_seed", (0.0,), (0.0,)),
        (SDEDIT, "sdedit", STRENGTHS, tuple(round(1 - strength, 6) for strength in STRENGTHS)),
    ]
    backgrounds: list[np.ndarray | None] = []
    edited = []
    for name, method, values, taus in ways:
        requests = [
            p2p.SweepRequest(
                caption(case.before),
                caption(case.after),
                taus,
                seed=seed,
                steps=STEPS,
                guidance_scale=GUIDANCE,
                method=method,
            )
            for case, seed in tried
        ]
        sweeps = editor.sweep_many(requests)
        # The source is the same by every method.
        backgrounds = backgrounds or _backgrounds(editor, [case for case, _ in tried], sweeps)
        for (case, _), sweep, background in zip(tried, sweeps, backgrounds, strict=True):
            picked = _picked(clip, case, sweep.edits)
            for value, image, (of_16, attribute) in zip(values, sweep.edits, picked, strict=True):
                kept = None if background is None else psnr(sweep.source, image, background)
                edited.append(Edited(name, value, case.kind, kept, of_16, attribute))
    return edited


def psnr(before: np.ndarray, after: np.ndarray, where: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of two images (H, W, 3) uint8 where (H, W) says, and not above `LEFT_ALONE`."""
    error = np.square(before[where].astype(float) - after[where]).mean()
    return float(min(LEFT_ALONE, 10 * np.log10(255**2 / max(error, 1e-9))))


def _backgrounds(
    editor: p2p.Editor, chosen: Sequence[Case], sweeps: Sequence[p2p.Sweep]
) -> list[np.ndarray | None]:
    """Where nothing is to change, bool (64, 64), by the source's maps; None where that can't be said."""
    share = best_share(drawn(editor, 64, 0)["object"])
    having = [k for k, case in enumerate(chosen) if case.changed or case.kept]
    latents = encode([sweeps[k].source for k in having])
    words = [chosen[k].changed or chosen[k].kept for k in having]
    maps = word_maps(editor, latents, [caption(chosen[k].before) for k in having], words)
    found: list[np.ndarray | None] = [None] * len(chosen)
    for k, own in zip(having, maps, strict=True):
        place = np.any([segment(heat, share) for heat in own], axis=0)
        found[k] = place if chosen[k].kept else ~_widened(place)
    return found


def _widened(place: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(place).convert("L").filter(ImageFilter.MaxFilter(WIDENED))) > 0


def _picked(clip: SmallClip, case: Case, images: np.ndarray) -> Iterator[tuple[bool, bool]]:
    """For each image, whether CLIP picks the edited caption: among 16, and by the attribute edited."""
    rng = np.random.default_rng(0)
    others = variations(case.after)
    name = ATTRIBUTE.get(case.kind, case.kind)
    rivals = [1 + k for k, (attribute, _) in enumerate(others, start=1) if attribute == name]
    chosen = 2 + rng.choice(len(others), CHOICES - 2, replace=False)
    texts = [caption(case.after), caption(case.before), *(caption(other) for _, other in others)]
    for similarity in (clip.images(list(images)) @ clip.texts(texts).T).numpy():
        among, by_attribute = (
            bool(similarity[0] > max(similarity[1], similarity[own].max())) for own in (chosen, rivals)
        )
        yield among, by_attribute


def summary(edited: Sequence[Edited]) -> str:
    """The tables, in Markdown."""
    rows = []
    for way in dict.fromkeys((one.method, one.value) for one in edited):
        kept, of_16, attribute = _figures(edited, way)
        rows.append([way[0], SAYING[way[0]].format(way[1]), kept, of_16, attribute])
    by_kind = []
    for kind in sorted({one.kind for one in edited}):
        figures = [_figures(edited, way, kind) for way in SHOWN]
        by_kind.append([kind, *(f"{kept} / {attribute}" for kept, _, attribute in figures)])
    columns = ["method", "at", "background PSNR", f"of {CHOICES}", "edited attribute"]
    heads = ["edit", *(f"{method}, {SAYING[method].format(value)}" for method, value in SHOWN)]
    return (
        markdown_table(columns, rows)
        + "\n\nBy kind of edit, background PSNR / edited attribute:\n\n"
        + markdown_table(heads, by_kind)
    )


def curve(edited: Sequence[Edited], method: str) -> list[Point]:
    """For each value of a method: edits made and background, of the edits that have one."""
    having = [(one.value, one.attribute, one.psnr) for one in edited if one.method == method and one.psnr]
    return [
        (
            value,
            float(np.mean([made for own, made, _ in having if own == value])),
            float(np.mean([kept for own, _, kept in having if own == value])),
        )
        for value in dict.fromkeys(value for value, _, _ in having)
    ]


def _figures(
    edited: Sequence[Edited], way: tuple[str, float], kind: str | None = None
) -> tuple[str, str, str]:
    own = [one for one in edited if (one.method, one.value) == way and kind in (None, one.kind)]
    if not own:
        return "–", "–", "–"
    kept = [one.psnr for one in own if one.psnr is not None]
    return (
        f"{np.mean(kept):.1f} dB" if kept else "–",
        f"{np.mean([one.of_16 for one in own]):.0%}",
        f"{np.mean([one.attribute for one in own]):.0%}",
    )


def plot(curves: Mapping[str, Sequence[Point]], path: Path) -> None:
    """One curve a method: on the left the trade-off, on the right both by τ, where SDEdit's τ is 1 − strength."""
    figure, (trade, by_tau) = plt.subplots(1, 2, figsize=(12.5, 5), layout="constrained")
    success = by_tau.twinx()
    for (method, points), colour in zip(curves.items(), COLOURS, strict=False):
        made, left = [100 * point[1] for point in points], [point[2] for point in points]
        trade.plot(made, left, "o-", color=colour, label=method)
        for value, x, y in zip([point[0] for point in points], made, left, strict=True):
            place = (
                {"xytext": (-7, 3), "ha": "right"} if method == "SDEdit" else {"xytext": (7, 3), "ha": "left"}
            )
            trade.annotate(f"{value:g}", (x, y), textcoords="offset points", color=colour, **place)
        taus = [1 - point[0] if method == "SDEdit" else point[0] for point in points]
        by_tau.plot(taus, left, "o-", color=colour, label=f"{method}: background")
        success.plot(taus, made, "s:", color=colour, label=f"{method}: edits made")
    trade.set(xlabel="edits made: CLIP reads the edited attribute (%)", ylabel="background PSNR (dB)")
    trade.set_title("Left alone against made (beside the points: τ, SDEdit's strength)", fontsize=11)
    by_tau.set(xlabel="τ (SDEdit: 1 − strength)", ylabel="background PSNR (dB), solid", xlim=(-0.03, 1.03))
    success.set(ylabel="edits made (%), dotted", ylim=(0, 102))
    by_tau.set_title("By the share of the steps that are the source's", fontsize=11)
    for axes in (trade, by_tau):
        axes.grid(alpha=0.25)
        axes.spines[["top"]].set_visible(False)
    trade.legend(frameon=False)
    handles, labels = by_tau.get_legend_handles_labels()
    more, others = success.get_legend_handles_labels()
    figure.legend(
        handles + more, labels + others, frameon=False, fontsize=9, loc="outside lower right", ncols=3
    )
    figure.savefig(path, dpi=110)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.truth.background_preservation",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--pairs", type=int, default=6, help="caption pairs of each kind (default 6)")
    parser.add_argument("--seeds", type=int, default=1, help="of each pair (default 1)")
    parser.add_argument("--plot", type=Path, default=Path("docs/figures/background.png"))
    options = parser.parse_args(arguments)
    editor, clip = p2p.load(miniworld.MODEL, device="cpu"), SmallClip(miniworld.CLIP)
    chosen = cases(miniworld.CAPTIONS, options.pairs)
    edited = measure(editor, clip, chosen, options.seeds)
    text = summary(edited)
    intro = (
        f"{len(chosen)} shipped caption pairs, {options.pairs} of each kind, {options.seeds} seed(s), {STEPS} DDIM "
        f"steps, guidance {GUIDANCE:g}; cross gain 1, self gain 0.5. SDEdit's strength is 1 − τ. The background is "
        "what is outside of the changed object, or inside the objects where ground or sky change, by the source's "
        "attention, so it is the same for all methods; added objects and styles have none. "
        "Plot: docs/figures/background.png."
    )
    print(text)
    write_section(TITLE, f"{intro}\n\n{text}")
    options.plot.parent.mkdir(parents=True, exist_ok=True)
    curves = {method: curve(edited, method) for method in (P2P, SDEDIT, SAME_SEED)}
    plot(curves, options.plot)


if __name__ == "__main__":
    main()
