"""Draws the figures of docs/how.md from one caption pair and one run (`make figures`)."""

from __future__ import annotations

import argparse
import io
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

import filters
import miniworld
import p2p
from benchmarks.common.results_file import FIGURES
from benchmarks.figures import diagrams
from benchmarks.figures.image_page import Cell, Strip, page
from benchmarks.figures.paper_figures import FUNCTION_WORDS
from pipeline.config import resolve
from pipeline.dataset.funnel import Funnel, funnel_of, label_reason
from pipeline.planning import plan
from pipeline.report.heatmap import overlay
from stages.candidates import scoring
from stages.storage.commits import committed_units, read_commits
from stages.storage.store import Store

MARKED = "a watercolor of a red [boat] on sand at sunset", "a watercolor of a red [heart] on sand at sunset"
SOURCE, TARGET = (caption.replace("[", "").replace("]", "") for caption in MARKED)
TAUS = (0.2, 0.4, 0.6, 0.8, 1.0)
STEPS, GUIDANCE, SEED = 12, 5.0, 1


def sweep_strip(editor: p2p.Editor, clip: filters.Clip, thresholds: filters.Thresholds) -> Image.Image:
    """The pair's source and its edits over τ, each with CLIP's scores and the verdict."""
    sweep = editor.sweep(SOURCE, TARGET, TAUS, seed=SEED, steps=STEPS, guidance_scale=GUIDANCE)
    n = len(TAUS)
    scores = clip.score([sweep.source] * n, list(sweep.edits), [SOURCE] * n, [TARGET] * n)
    reasons = filters.choose([0] * n, scores, thresholds)
    cells = [
        Cell(
            edit,
            f"τ = {tau:g}\ndirection {scores.clip_sim_dir[k]:.2f}\nlikeness {scores.clip_sim_image[k]:.2f}\n"
            + (label_reason(reasons[k]) if reasons[k] else "[kept]"),
            framed=not reasons[k],
        )
        for k, (tau, edit) in enumerate(zip(TAUS, sweep.edits, strict=True))
    ]
    about = f"{' → '.join(MARKED)}. With more τ more of the source's layout is held."
    return page("One seed of a caption pair", about, [Strip([Cell(sweep.source, "source"), *cells])])


def attention_strips(editor: p2p.Editor) -> Image.Image:
    """Attention maps for the words of both captions, at τ = 0.8."""
    request = p2p.SweepRequest(SOURCE, TARGET, (0.8,), SEED, STEPS, GUIDANCE)
    strips = []
    for name, maps in zip(("source", "edit, its own"), editor.edit_attention(request), strict=True):
        content = [k for k, word in enumerate(maps.words) if word not in FUNCTION_WORDS]
        cells = [Cell(overlay(maps.image, maps.maps[k]), maps.words[k]) for k in content]
        strips.append(Strip([Cell(maps.image), *cells], name))
    about = "Cross-attention, averaged over all steps and layers, each map scaled to its own maximum."
    return page("Attention to each word", about, strips)


def run_funnel(out: str) -> Funnel:
    """The funnel of the units that a run has committed."""
    store = Store(out)
    return funnel_of(plan.load(store), read_commits(store, sorted(committed_units(store))))


def rasterise(figure: Figure) -> Image.Image:
    """The figure's pixels."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=110)
    return Image.open(buffer).convert("RGB")


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the figures into a folder."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.figures.method_figures", description=__doc__)
    parser.add_argument(
        "run", nargs="?", default="out", help="output of the funnel's run (default out, of make demo)"
    )
    parser.add_argument("--out", type=Path, default=FIGURES / "how")
    options = parser.parse_args(arguments)
    editor, clip = p2p.load(miniworld.MODEL), filters.load_clip(f"local-dir:{miniworld.CLIP}")
    thresholds = scoring.make_thresholds(resolve.checked(resolve.compose([])).filter)
    options.out.mkdir(parents=True, exist_ok=True)
    for name, image in (
        ("strip", sweep_strip(editor, clip, thresholds)),
        ("attention", attention_strips(editor)),
        ("tree", rasterise(diagrams.tree(TAUS, STEPS, 1.0, 0.5))),
        ("funnel", rasterise(diagrams.funnel(run_funnel(options.run)))),
        ("commit", rasterise(diagrams.commit())),
    ):
        path = options.out / f"{name}.png"
        image.quantize(256, kmeans=8, dither=Image.Dither.NONE).save(path, optimize=True)
        print(path, flush=True)


if __name__ == "__main__":
    main()
