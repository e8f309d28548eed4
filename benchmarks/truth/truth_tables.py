"""Markdown tables of `benchmarks.truth.filter_precision`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.common.markdown import markdown_table
from benchmarks.truth.candidate_cache import Settings
from benchmarks.truth.edit_truth import MAX_MOVE, MIN_PSNR, EditTruth
from benchmarks.truth.image_functions import through_vae
from benchmarks.truth.precision_recall import Curve, point
from benchmarks.truth.reader_accuracy import ATTRIBUTES, DrawnPair, agreement, judge_pairs
from miniworld.calibrate import FAULTS
from miniworld.drawing.draw import draw
from miniworld.edits import EDITS
from miniworld.scene import Layout, Scene
from miniworld.scene_reader import Reader

PARTS = {
    "made": "edit made:.0%",
    "attributes_kept": "attributes kept:.0%",
    "places_kept": "places kept:.0%",
    "pixels_kept": "PSNR:.0%",
}


def intro(settings: Settings, edits: int, candidates: int, threads: int) -> str:
    """The settings and the definitions."""
    taus = " ".join(map(str, settings.taus))
    return (
        f"{edits} shipped caption pairs, {settings.per_kind} of each kind, {settings.seeds} seed(s), τ {taus}: "
        f"{candidates:,} candidates, {settings.steps} {settings.sampler.upper()} steps, guidance "
        f"{settings.guidance:g}, cross gain 1, self gain 0.5, fp32, {threads} thread(s). Right: the edit is made, all "
        "other attributes are read alike from both images, no object nor the horizon moves by more than "
        f"{MAX_MOVE:g} of the side, and PSNR is {MIN_PSNR:g} dB or more where a drawn edit leaves the image unchanged. "
        "Precision: right candidates among those that pass. Recall: passing candidates among the right ones. Figure: "
        "docs/figures/truth.png."
    )


def reader_table(reader: Reader, drawn: Sequence[tuple[Scene, Layout]]) -> str:
    """Share of drawn images of which each attribute is read as it was drawn."""
    images = np.stack([draw(scene, layout) for scene, layout in drawn])
    records: list[tuple[object, ...]] = []
    for name, shown in (("drawn", images), ("drawn, through the VAE", through_vae(images))):
        readings = zip(reader.read(shown), drawn, strict=True)
        agrees = [agreement(reading.scene, scene) for reading, (scene, _) in readings]
        shares = (np.mean([agree[attribute] for agree in agrees]) for attribute in ATTRIBUTES)
        records.append((name, len(drawn), *shares))
    return (
        "The reader (0.25 M weights; `python -m miniworld.train.reader`) on unseen scenes. Object: exactly the kinds "
        "that are there. Colour: of the objects found.\n\n"
        + markdown_table(["read from", "images", *(f"{name}:.1%" for name in ATTRIBUTES)], records)
    )


def drawn_pairs_table(reader: Reader, pairs: Sequence[DrawnPair]) -> str:
    """Share of drawn pairs, through the VAE, that is judged right, by kind of edit and fault."""
    judged = list(zip(pairs, judge_pairs(reader, pairs), strict=True))
    records: list[tuple[object, ...]] = []
    for kind in (*EDITS, "all"):
        of_kind = [(pair, truth) for pair, truth in judged if kind in (pair.edit.kind, "all")]
        right = [np.mean([t.right for pair, t in of_kind if pair.fault == fault]) for fault in ("", *FAULTS)]
        true = [truth for pair, truth in of_kind if not pair.fault]
        psnrs = [truth.psnr for truth in true if truth.psnr is not None]
        parts = [np.mean([getattr(truth, name) for truth in true]) for name in PARTS]
        records.append((kind, len(true), *right, *parts, f"{np.median(psnrs):.1f} dB" if psnrs else None))
    shares = ("true:.0%", *(f"{fault}:.0%" for fault in FAULTS))
    return (
        "Judged right among drawn pairs through the VAE: true edits, edits in another layout, none, and another edit. "
        "The columns from the seventh on are of the true ones.\n\n"
        + markdown_table(["edit", "of each", *shares, *PARTS.values(), "median PSNR"], records)
    )


def filter_table(
    kinds: Sequence[str], truths: Sequence[EditTruth], passes: np.ndarray, kept: np.ndarray
) -> str:
    """The filter at its default thresholds, by kind of edit."""
    right, kind_of = np.array([truth.right for truth in truths]), np.array(kinds)
    parts = [np.array([getattr(truth, name) for truth in truths]) for name in PARTS]
    records = []
    for kind in (*EDITS, "all"):
        mask = np.ones(len(kind_of), bool) if kind == "all" else kind_of == kind
        precision, recall = point(passes[mask], right[mask])
        shares = right[mask].mean(), passes[mask].mean(), precision, recall, right[mask & ~passes].mean()
        of_passing = (part[mask & passes].mean() for part in parts)
        records.append((kind, mask.sum(), *shares, *of_passing, kept[mask].sum(), right[mask & kept].mean()))
    columns = [
        *("edit", "candidates", "right:.0%", "pass:.0%", "precision:.0%", "recall:.0%"),
        *("right of rejected:.0%", *PARTS.values(), "kept", "right of kept:.0%"),
    ]
    return (
        "The filter at its default thresholds. The four columns after the rejected are of passing candidates; kept are "
        "the best by clip_sim_dir of each seed.\n\n" + markdown_table(columns, records)
    )


def tau_table(taus: np.ndarray, truths: Sequence[EditTruth], passes: np.ndarray) -> str:
    """Truth and the filter's choice at each τ."""
    made, preserved, right = (
        np.array([getattr(truth, name) for truth in truths]) for name in ("made", "preserved", "right")
    )
    records = [
        (
            tau,
            *(part[mask].mean() for part in (made, preserved, right, passes)),
            *point(passes[mask], right[mask]),
        )
        for tau in np.unique(taus)
        for mask in [taus == tau]
    ]
    shares = ("edit made", "preserved", "right", "pass", "precision", "recall")
    return markdown_table(["τ:g", *(f"{name}:.0%" for name in shares)], records)


def thresholds_table(
    choices: Mapping[str, Sequence[float]], passing_by: Mapping[str, np.ndarray], right: np.ndarray
) -> str:
    """Several choices of the four thresholds, each with the mask of the candidates that pass."""
    records = [
        (name, " ".join(f"{value:.2f}" for value in choices[name]), passes.mean(), *point(passes, right))
        for name, passes in passing_by.items()
    ]
    return (
        "Thresholds of clip_sim_0, clip_sim_1, clip_sim_dir, clip_sim_image. The published ones are of another CLIP."
        "\n\n" + markdown_table(["choice", "thresholds", "pass:.0%", "precision:.1%", "recall:.1%"], records)
    )


def scores_table(curves: Mapping[str, Curve], recall: float) -> str:
    """Each score's area under the curve, and its precision at the recall of the default thresholds."""
    best = sorted(curves.items(), key=lambda entry: -entry[1].area)
    records = [
        (name, curve.area, curve.precision_at(recall), curve.precision_at(0.5)) for name, curve in best
    ]
    columns = ["score", "area:.3f", f"precision at recall {recall:.2f}:.1%", "precision at recall 0.50:.1%"]
    return "One number for each candidate, with any threshold.\n\n" + markdown_table(columns, records)
