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
from benchmarks.figures import diagrams
from benchmarks.figures.image_page import Cell, Row, page
from pipeline.config import resolve
from pipeline.dataset.funnel import Funnel, funnel_of, label_reason
from pipeline.planning import plan
from pipeline.report.heatmap import overlay
from stages import write
from stages.candidates import scoring
from stages.storage.store import Store

FOLDER = Path("docs/figures/how")
SOURCE, TARGET = (
    "a watercolor of a red boat on sand at sunset",
    "a watercolor of a red heart on sand at sunset",
)
TAUS = (0.2, 0.4, 0.6, 0.8, 1.0)
STEPS, GUIDANCE, SEED = 12, 5.0, 1
SILENT = frozenset({"a", "of", "on", "at"})


def strip(editor: p2p.Editor, clip: filters.Clip, thresholds: filters.Thresholds) -> Image.Image:
    """The pair's source and its edits over τ, each with CLIP's scores and what they decide."""
    sweep = editor.sweep(SOURCE, TARGET, TAUS, seed=SEED, steps=STEPS, guidance_scale=GUIDANCE)
    n = len(TAUS)
    scores = clip.score([sweep.source] * n, list(sweep.edits), [SOURCE] * n, [TARGET] * n)
    chosen = filters.choose([0] * n, scores, thresholds)
    cells = [
        Cell(
            edit,
            f"τ = {tau:g}\ndirection {scores.clip_sim_dir[k]:.2f}\nlikeness {scores.clip_sim_image[k]:.2f}\n"
            + (label_reason(chosen[k]) if chosen[k] else "[kept]"),
            framed=not chosen[k],
        )
        for k, (tau, edit) in enumerate(zip(TAUS, sweep.edits, strict=True))
    ]
    return page(
        "One seed of a caption pair",
        f"{SOURCE.replace('boat', '[boat]')} → {TARGET.replace('heart', '[heart]')}. With more τ more of the "
        "source's layout is held.",
        [Row([Cell(sweep.source, "source"), *cells])],
    )


def attention(editor: p2p.Editor) -> Image.Image:
    """Where the model looked for the words of both captions, at τ = 0.8."""
    request = p2p.SweepRequest(SOURCE, TARGET, (0.8,), SEED, STEPS, GUIDANCE)
    rows = []
    for name, seen in zip(("source", "edit, its own"), editor.edit_attention(request), strict=True):
        heard = [k for k, word in enumerate(seen.words) if word not in SILENT]
        cells = [Cell(overlay(seen.image, seen.maps[k]), seen.words[k]) for k in heard]
        rows.append(Row([Cell(seen.image), *cells], name))
    return page(
        "Where the model looks for each word",
        "Cross-attention, averaged over all steps and layers, each map scaled to its own maximum.",
        rows,
    )


def counts(out: str) -> Funnel:
    """The funnel of a run, as far as it is."""
    store = Store(out)
    made = plan.load(store)
    return funnel_of(made, write.read_commits(store, sorted(write.committed(store))))


def drawn(figure: Figure) -> Image.Image:
    """The figure's pixels."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=110)
    return Image.open(buffer).convert("RGB")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.figures.method_figures", description=__doc__)
    parser.add_argument(
        "run", nargs="?", default="out", help="of which the funnel is (default out, as of make demo)"
    )
    parser.add_argument("--out", type=Path, default=FOLDER)
    options = parser.parse_args(arguments)
    editor, clip = p2p.load(miniworld.MODEL), filters.load_clip(f"local-dir:{miniworld.CLIP}")
    thresholds = scoring.make_thresholds(resolve.checked(resolve.compose([])).filter)
    options.out.mkdir(parents=True, exist_ok=True)
    for name, picture in (
        ("strip", strip(editor, clip, thresholds)),
        ("attention", attention(editor)),
        ("tree", drawn(diagrams.tree(TAUS, STEPS, 1.0, 0.5))),
        ("funnel", drawn(diagrams.funnel(counts(options.run)))),
        ("commit", drawn(diagrams.commit())),
    ):
        path = options.out / f"{name}.png"
        picture.quantize(256, kmeans=8, dither=Image.Dither.NONE).save(path, optimize=True)
        print(path, flush=True)


if __name__ == "__main__":
    main()
