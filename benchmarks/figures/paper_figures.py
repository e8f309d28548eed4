"""Draws the figures of the Prompt-to-Prompt paper on the mini world (`make figures`)."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

import filters
import miniworld
import p2p
from benchmarks.figures.image_page import Cell, Row, page
from benchmarks.figures.seed_choice import GUIDANCE, STEPS, Studio
from pipeline.report.heatmap import overlay

FOLDER = Path("docs/figures")
SILENT = frozenset({"a", "an", "of", "on", "and", "by", "at", "in"})


def swaps(studio: Studio) -> Image.Image:
    """Figure 2: a word is swapped, with the source's attention and without it."""
    rows = []
    for source, changes in (
        (
            "a photo of a red ball on grass by day",
            {"ball": ("box", "star", "house", "heart", "cone", "tree")},
        ),
        (
            "a photo of a blue house on sand at sunset",
            {"blue": ("red", "yellow"), "sand": ("snow", "lava"), "at sunset": ("by day", "at night")},
        ),
    ):
        edits = [(old, new) for old, news in changes.items() for new in news]
        requests = [
            p2p.SweepRequest(source, source.replace(old, new), (0.0, 0.5 if old == "ball" else 0.8))
            for old, new in edits
        ]
        sweeps = studio.best(requests, contrast=True)
        original = Cell(sweeps[0].source, source, framed=True)
        said = [source.replace(old, f"[{new}]") for old, new in edits]
        injected = [Cell(sweep.edits[1], text) for sweep, text in zip(sweeps, said, strict=True)]
        free = [Cell(sweep.edits[0]) for sweep in sweeps]
        rows += [
            Row([original, *injected], "the source's attention injected"),
            Row([None, *free], "same seed alone"),
        ]
    return page(
        "Swapping words",
        "One word of the caption is swapped. Above with the source's attention maps (τ = 0.5 for objects, 0.8 for "
        "what is larger), below from the same noise without them: then other things move, too.",
        rows,
    )


def attention(studio: Studio) -> Image.Image:
    """Figure 4: where each word is attended to, on average and as the image comes about."""
    groups = 5
    prompt = "a photo of a red ball and a blue house on snow at sunset"
    tried = [
        studio.editor.attention(prompt, seed=seed, steps=STEPS, guidance_scale=GUIDANCE, groups=groups)
        for seed in range(studio.seeds)
    ]
    images = [seen.image for seen in tried]
    found = studio.clip.score(images, images, [prompt] * len(tried), [prompt] * len(tried)).clip_sim_0
    seen = tried[int(found.argmax())]
    heard = [k for k, word in enumerate(seen.words) if word not in SILENT]
    cells = [Cell(overlay(seen.image, seen.maps[k]), seen.words[k]) for k in heard]
    rows = [Row([Cell(seen.image, prompt, framed=True), *cells], "average of all steps")]
    ends = [STEPS * (group + 1) // groups for group in range(groups)]
    for word in ("ball", "house", "snow"):
        k = seen.words.index(word)
        own = [
            Cell(overlay(seen.image, maps[k]), f"steps {end - STEPS // groups + 1} to {end}")
            for maps, end in zip(seen.groups, ends, strict=True)
        ]
        rows.append(Row([None, *own], f"[{word}] as the image comes about"))
    return page(
        "Where the model looks for a word",
        "Cross-attention over the generated image, each map scaled to its own maximum.",
        rows,
    )


def preservation(studio: Studio) -> Image.Image:
    """Figure 5: only the attention of the object's words is injected; what surrounds it is free."""
    source, kept = "a photo of a red house on grass by day", ("red", "house")
    others = (
        "a photo of a red house on snow at sunset",
        "a photo of a red house on lava at night",
        "a photo of a red house on water in a storm",
        "a watercolor of a red house on sand by day",
        "a mosaic of a red house on sand at sunset",
    )
    ways: dict[str, dict[str, Any]] = {
        "the attention of [red house] alone": {"taus": (1.0,), "only": kept, "self_gain": 0.0},
        "of all words, and self-attention": {"taus": (1.0,)},
        "of none: same seed alone": {"taus": (0.0,)},
    }
    requests = [p2p.SweepRequest(source, other, **way) for way in ways.values() for other in others]
    sweeps = studio.best(requests, contrast=True)
    rows = []
    for k, way in enumerate(ways):
        own = sweeps[k * len(others) : (k + 1) * len(others)]
        cells = [Cell(s.edits[0], "" if k else text) for s, text in zip(own, others, strict=True)]
        rows.append(Row([Cell(own[0].source, source, framed=True) if k == 0 else None, *cells], way))
    return page(
        "Preserving an object",
        "The caption's surroundings change. Above only the object's words take the source's attention, so the house "
        "stays and its surroundings are drawn anew; in the middle everything is held; below nothing is.",
        rows,
    )


def injection(studio: Studio) -> Image.Image:
    """Figure 6: attention injected through a growing share of the steps."""
    taus = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    source = "a photo of a red ball on grass by day"
    rows = []
    changes = (
        ("ball", "box"),
        ("ball", "house"),
        ("red", "blue"),
        ("grass", "snow"),
        ("photo", "watercolor"),
    )
    sweeps = studio.best([p2p.SweepRequest(source, source.replace(old, new), taus) for old, new in changes])
    rows.append(Row([Cell(sweeps[0].source, source, framed=True)], "source"))
    for (old, new), sweep in zip(changes, sweeps, strict=True):
        cells = [Cell(edit, f"τ = {tau}") for tau, edit in zip(taus, sweep.edits, strict=True)]
        rows.append(Row(cells, f"{old} → [{new}]"))
    return page(
        "Injection through a growing share of the steps",
        "Cross-attention is injected for τ of the steps, self-attention for half of it. On the left nothing of the "
        "source is held but its noise; on the right its layout is held so firmly that "
        "a new shape may not come through.",
        rows,
    )


def refinement(studio: Studio) -> Image.Image:
    """Figures 7 and 8: a phrase is added, a style is asked for."""
    source = "a red house on grass"
    added = ("at night", "at sunset", "in a storm", "and a yellow star")
    styles = ("pencil drawing", "mosaic", "watercolor")
    local = [
        source.replace(" on", f" {phrase} on") if phrase.startswith("and") else f"{source} {phrase}"
        for phrase in added
    ]
    styled = [f"a {style} of {source}" for style in styles]
    sweeps = studio.best(
        [
            p2p.SweepRequest(source, target, (0.3 if "and a" in target else 0.8,))
            for target in (*local, *styled)
        ]
    )
    marked = [text.replace(phrase, f"[{phrase}]") for text, phrase in zip(local, added, strict=True)]
    marked += [
        text.replace(f"a {style} of", f"[a {style} of]") for text, style in zip(styled, styles, strict=True)
    ]
    cells = [Cell(sweep.edits[0], text) for sweep, text in zip(sweeps, marked, strict=True)]
    original = Cell(sweeps[0].source, source, framed=True)
    return page(
        "Refining the caption",
        "Words are added to the caption. Words in common take the source's attention, added words keep their own.",
        [
            Row([original, *cells[: len(added)]], "phrases added"),
            Row([None, *cells[len(added) :]], "a style added"),
        ],
    )


def fader(studio: Studio) -> Image.Image:
    """Figure 9: the attention to one word is made weaker or stronger; the caption stays."""
    weights = (-2.0, -1.0, 0.0, 1.0, 2.0, 4.0)
    rows = []
    for source, word in (
        ("a photo of a red house on snow at sunset", "sunset"),
        ("a photo of a blue ball on sand in a storm", "storm"),
        ("a watercolor of a yellow boat on water by day", "watercolor"),
        ("a photo of a purple tree on lava by day", "lava"),
        ("a photo of a pink heart on grass at night", "pink"),
    ):
        requests = [p2p.SweepRequest(source, source, (1.0,), reweight={word: c}) for c in weights]
        sweeps = studio.best(requests)
        cells = [
            Cell(sweep.edits[0], f"c = {c:g}", framed=c == 1)
            for c, sweep in zip(weights, sweeps, strict=True)
        ]
        rows.append(Row(cells, source.replace(word, f"[{word}]")))
    return page(
        "A fader for a word",
        "The attention to one word is multiplied by c, the caption stays, and so does all else (τ = 1). "
        "The source, c = 1, is framed.",
        rows,
    )


FIGURES: Mapping[str, Callable[[Studio], Image.Image]] = {
    "2-swaps": swaps,
    "4-attention": attention,
    "5-preservation": preservation,
    "6-injection": injection,
    "7-refinement": refinement,
    "9-fader": fader,
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.figures.paper_figures", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(FIGURES)}; all by default")
    parser.add_argument("--seeds", type=int, default=6, help="to choose from, for each figure (default 6)")
    parser.add_argument("--out", type=Path, default=FOLDER)
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.names) - FIGURES.keys())
    if unknown:
        parser.error(f"there is no figure {unknown[0]!r}; there are {', '.join(FIGURES)}")
    studio = Studio(
        p2p.load(miniworld.MODEL), filters.load_clip(f"local-dir:{miniworld.CLIP}"), options.seeds
    )
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.names or FIGURES:
        path = options.out / f"{name}.png"
        FIGURES[name](studio).quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
        print(path, flush=True)


if __name__ == "__main__":
    main()
