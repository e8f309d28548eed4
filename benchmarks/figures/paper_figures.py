"""Draws the figures of the Prompt-to-Prompt paper on the mini world (`make figures`)."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import filters
import miniworld
import p2p
from benchmarks.common.results_file import FIGURES
from benchmarks.figures.image_page import Cell, Strip, page
from pipeline.report.heatmap import overlay

STEPS, GUIDANCE = 20, 5.0
FUNCTION_WORDS = frozenset({"a", "an", "of", "on", "and", "by", "at", "in"})


@dataclass(frozen=True)
class Models:
    """The models, and the number of seeds that a figure is chosen from."""

    editor: p2p.Editor
    clip: filters.Clip
    seeds: int

    def best_sweeps(self, requests: Sequence[p2p.SweepRequest], contrast: bool = False) -> list[p2p.Sweep]:
        """The sweeps of the seed that CLIP rates best for all requests together.

        The rating is the sum of how well source and edits show their captions, how well the edits follow the change of
        caption, and how like their source they are. With ``contrast``, edits without injection count by how unlike
        their source they are, so that the effect of injection shows.
        """
        seeded = [
            replace(request, seed=seed, steps=STEPS, guidance_scale=GUIDANCE)
            for seed in range(self.seeds)
            for request in requests
        ]
        sweeps = self.editor.sweep_many(seeded)
        ratings = [self._rate(*pair, contrast) for pair in zip(seeded, sweeps, strict=True)]
        seed = int(np.reshape(ratings, (self.seeds, -1)).mean(1).argmax())
        return sweeps[seed * len(requests) : (seed + 1) * len(requests)]

    def _rate(self, request: p2p.SweepRequest, sweep: p2p.Sweep, contrast: bool) -> float:
        n = len(sweep.edits)
        captions = [request.source] * n, [request.target] * n
        scores = self.clip.score([sweep.source] * n, list(sweep.edits), *captions)
        direction = scores.clip_sim_dir if request.source != request.target else 0.0
        sign = np.where(contrast & (np.array(request.taus) == 0), -1, 1)
        return float(
            np.mean(scores.clip_sim_0 + scores.clip_sim_1 + direction + sign * scores.clip_sim_image)
        )


def swaps(models: Models) -> Image.Image:
    """Figure 2: a word is swapped, with and without the source's attention."""
    ball, house = "a photo of a red ball on grass by day", "a photo of a blue house on sand at sunset"
    sources: Mapping[str, Sequence[tuple[str, str]]] = {
        ball: [("ball", new) for new in ("box", "star", "house", "heart", "cone", "tree")],
        house: [
            *(("blue", "red"), ("blue", "yellow"), ("sand", "snow"), ("sand", "lava")),
            *(("at sunset", "by day"), ("at sunset", "at night")),
        ],
    }
    strips = []
    for source, changes in sources.items():
        tau = 0.5 if source == ball else 0.8
        requests = [p2p.SweepRequest(source, source.replace(old, new), (0.0, tau)) for old, new in changes]
        sweeps = models.best_sweeps(requests, contrast=True)
        original = Cell(sweeps[0].source, source, framed=True)
        captions = [source.replace(old, f"[{new}]") for old, new in changes]
        injected = [Cell(sweep.edits[1], text) for sweep, text in zip(sweeps, captions, strict=True)]
        free = [Cell(sweep.edits[0]) for sweep in sweeps]
        strips += [
            Strip([original, *injected], "the source's attention injected"),
            Strip([None, *free], "same seed alone"),
        ]
    return page(
        "Swapping words",
        "One word of the caption is swapped. Above with the source's attention maps (τ = 0.5 for objects, 0.8 for "
        "larger changes), below from the same noise without them: then other things move, too.",
        strips,
    )


def attention(models: Models) -> Image.Image:
    """Figure 4: attention to each word, on average and as the image forms."""
    groups = 5
    prompt = "a photo of a red ball and a blue house on snow at sunset"
    tries = [
        models.editor.attention(prompt, seed=seed, steps=STEPS, guidance_scale=GUIDANCE, groups=groups)
        for seed in range(models.seeds)
    ]
    images, prompts = [result.image for result in tries], [prompt] * len(tries)
    best = tries[int(models.clip.score(images, images, prompts, prompts).clip_sim_0.argmax())]
    content = [k for k, word in enumerate(best.words) if word not in FUNCTION_WORDS]
    cells = [Cell(overlay(best.image, best.maps[k]), best.words[k]) for k in content]
    strips = [Strip([Cell(best.image, prompt, framed=True), *cells], "average of all steps")]
    ends = [STEPS * (group + 1) // groups for group in range(groups)]
    for word in ("ball", "house", "snow"):
        k = best.words.index(word)
        cells = [
            Cell(overlay(best.image, maps[k]), f"steps {end - STEPS // groups + 1} to {end}")
            for maps, end in zip(best.groups, ends, strict=True)
        ]
        strips.append(Strip([None, *cells], f"[{word}] as the image forms"))
    return page(
        "Attention to each word",
        "Cross-attention over the generated image, each map scaled to its own maximum.",
        strips,
    )


def preservation(models: Models) -> Image.Image:
    """Figure 5: only the attention of the object's words is injected; its surroundings are free."""
    source = "a photo of a red house on grass by day"
    targets = (
        "a photo of a red house on snow at sunset",
        "a photo of a red house on lava at night",
        "a photo of a red house on water in a storm",
        "a watercolor of a red house on sand by day",
        "a mosaic of a red house on sand at sunset",
    )
    settings: dict[str, dict[str, Any]] = {
        "the attention of [red house] alone": {"taus": (1.0,), "only": ("red", "house"), "self_gain": 0.0},
        "of all words, and self-attention": {"taus": (1.0,)},
        "of none: same seed alone": {"taus": (0.0,)},
    }
    requests = [
        p2p.SweepRequest(source, target, **given) for given in settings.values() for target in targets
    ]
    sweeps = models.best_sweeps(requests, contrast=True)
    strips = []
    for k, label in enumerate(settings):
        edits = [sweep.edits[0] for sweep in sweeps[k * len(targets) : (k + 1) * len(targets)]]
        cells = [Cell(edit, "" if k else target) for edit, target in zip(edits, targets, strict=True)]
        original = Cell(sweeps[0].source, source, framed=True) if k == 0 else None
        strips.append(Strip([original, *cells], label))
    return page(
        "Preserving an object",
        "The caption's surroundings change. Above only the object's words take the source's attention, so the house "
        "stays and its surroundings are drawn anew; in the middle everything is held; below nothing is.",
        strips,
    )


def injection(models: Models) -> Image.Image:
    """Figure 6: attention injected for a growing share of the steps."""
    taus = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    source = "a photo of a red ball on grass by day"
    changes = {"ball": ("box", "house"), "red": ("blue",), "grass": ("snow",), "photo": ("watercolor",)}
    swaps = [(old, new) for old, news in changes.items() for new in news]
    requests = [p2p.SweepRequest(source, source.replace(old, new), taus) for old, new in swaps]
    sweeps = models.best_sweeps(requests)
    strips = [Strip([Cell(sweeps[0].source, source, framed=True)], "source")]
    for (old, new), sweep in zip(swaps, sweeps, strict=True):
        cells = [Cell(edit, f"τ = {tau}") for tau, edit in zip(taus, sweep.edits, strict=True)]
        strips.append(Strip(cells, f"{old} → [{new}]"))
    return page(
        "Injection for a growing share of the steps",
        "Cross-attention is injected for τ of the steps, self-attention for half of them. On the left only the "
        "source's noise is held; on the right its layout is held so firmly that a new shape may not come through.",
        strips,
    )


def refinement(models: Models) -> Image.Image:
    """Figures 7 and 8: a phrase or a style is added."""
    source = "a red house on grass"
    added = [f"{source} [{phrase}]" for phrase in ("at night", "at sunset", "in a storm")]
    added.append("a red house [and a yellow star] on grass")
    styled = [f"[a {style} of] {source}" for style in ("pencil drawing", "mosaic", "watercolor")]
    targets = [text.replace("[", "").replace("]", "") for text in (*added, *styled)]
    taus = [0.3 if "and a" in target else 0.8 for target in targets]
    requests = [
        p2p.SweepRequest(source, *edit) for edit in zip(targets, [(tau,) for tau in taus], strict=True)
    ]
    sweeps = models.best_sweeps(requests)
    cells = [Cell(sweep.edits[0], text) for sweep, text in zip(sweeps, (*added, *styled), strict=True)]
    original = Cell(sweeps[0].source, source, framed=True)
    return page(
        "Refining the caption",
        "Words are added to the caption. Words in common take the source's attention, added words keep their own.",
        [
            Strip([original, *cells[: len(added)]], "phrases added"),
            Strip([None, *cells[len(added) :]], "a style added"),
        ],
    )


def fader(models: Models) -> Image.Image:
    """Figure 9: the attention to one word is weakened or strengthened; the caption stays."""
    weights = (-2.0, -1.0, 0.0, 1.0, 2.0, 4.0)
    strips = []
    for marked in (
        "a photo of a red house on snow at [sunset]",
        "a photo of a blue ball on sand in a [storm]",
        "a [watercolor] of a yellow boat on water by day",
        "a photo of a purple tree on [lava] by day",
        "a photo of a [pink] heart on grass at night",
    ):
        source, word = (
            marked.replace("[", "").replace("]", ""),
            marked[marked.index("[") + 1 : marked.index("]")],
        )
        requests = [p2p.SweepRequest(source, source, (1.0,), reweight={word: c}) for c in weights]
        edits = [(c, sweep.edits[0]) for c, sweep in zip(weights, models.best_sweeps(requests), strict=True)]
        strips.append(Strip([Cell(edit, f"c = {c:g}", framed=c == 1) for c, edit in edits], marked))
    return page(
        "A fader for a word",
        "The attention to one word is multiplied by c; the caption and everything else stay (τ = 1). "
        "The source, c = 1, is framed.",
        strips,
    )


DRAWINGS: Mapping[str, Callable[[Models], Image.Image]] = {
    "2-swaps": swaps,
    "4-attention": attention,
    "5-preservation": preservation,
    "6-injection": injection,
    "7-refinement": refinement,
    "9-fader": fader,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the figures into a folder."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.figures.paper_figures", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(DRAWINGS)}; all by default")
    parser.add_argument("--seeds", type=int, default=6, help="to choose from, for each figure (default 6)")
    parser.add_argument("--out", type=Path, default=FIGURES)
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.names) - DRAWINGS.keys())
    if unknown:
        parser.error(f"unknown figure {unknown[0]!r}; the figures are {', '.join(DRAWINGS)}")
    clip = filters.load_clip(f"local-dir:{miniworld.CLIP}")
    models = Models(p2p.load(miniworld.MODEL), clip, options.seeds)
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.names or DRAWINGS:
        path = options.out / f"{name}.png"
        DRAWINGS[name](models).quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
        print(path, flush=True)


if __name__ == "__main__":
    main()
