"""The tables of `benchmarks.truth.filter_precision`, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.common.markdown import markdown_table
from benchmarks.truth.background_preservation import Case
from benchmarks.truth.candidate_cache import Candidates, Settings
from benchmarks.truth.edit_truth import MOVED, QUIET, Truth
from benchmarks.truth.precision_recall import Curve, point
from benchmarks.truth.reader_accuracy import (
    ATTRIBUTES,
    Pair,
    agreement,
    errors_of_place,
    picked,
    through_vae,
    truths_of,
)
from miniworld.calibrate import FAULTS
from miniworld.draw import draw
from miniworld.edits import EDITS
from miniworld.evaluate import SmallClip
from miniworld.scene import Layout, Scene
from miniworld.scene_reader import Reader

RANKS = ("clip_sim_dir", "clip_sim_image", "clip_sim_dir × clip_sim_image", "logistic, the four", "ssim")


def intro(settings: Settings, cases: int, count: int, threads: int) -> str:
    """What was done."""
    taus = " ".join(map(str, settings.taus))
    return (
        f"{cases} shipped caption pairs, {settings.per_kind} of each kind, {settings.seeds} seed(s), τ {taus}: "
        f"{count:,} candidates, {settings.steps} {settings.sampler.upper()} steps, guidance {settings.guidance:g}, "
        f"cross gain 1, self gain 0.5, fp32, {threads} thread(s) of a virtual machine of two cores. Right: the edit "
        "was carried out, all other attributes are read alike from both images, no object nor the horizon moved by "
        f"more than {MOVED:g} of the side, and PSNR is {QUIET:g} dB or more where a drawn edit leaves the picture as "
        "it is (a style leaves nothing, a sky little but the objects). Precision: of what passes, the share that is "
        "right. Recall: of what is right, the share that passes. Figure: docs/figures/truth.png."
    )


def of_reader(
    reader: Reader,
    clip: SmallClip,
    drawn: Sequence[tuple[Scene, Layout]],
    chosen: Sequence[Case],
    made: Candidates,
) -> str:
    """How often each attribute is read as it is drawn, and as a generated source's caption says."""
    images = np.stack([draw(scene, layout) for scene, layout in drawn])
    rows = []
    for name, shown in (("drawn", images), ("drawn, through the VAE", through_vae(images))):
        readings = reader.read(shown)
        agrees = [agreement(one.scene, scene) for one, (scene, _) in zip(readings, drawn, strict=True)]
        place = np.quantile(errors_of_place(readings, drawn), 0.95)
        rows.append([name, str(len(drawn)), *_shares(agrees), f"{place:.3f}"])
    of = dict(zip(made.source.tolist(), made.case.tolist(), strict=True))
    scenes = [chosen[of[k]].before for k in range(len(made.sources))]
    readings = reader.read(made.sources)
    agrees = [agreement(one.scene, scene) for one, scene in zip(readings, scenes, strict=True)]
    seen = [
        picked(clip, scene, feature)
        for scene, feature in zip(scenes, clip.images(list(made.sources)), strict=True)
    ]
    rows.append(["generated, by its caption", str(len(scenes)), *_shares(agrees), "–"])
    rows.append(["generated: CLIP picks the caption's", str(len(scenes)), *_shares(seen), "–"])
    both = [
        f"{np.mean([a[name] for a, s in zip(agrees, seen, strict=True) if s[name]]):.1%}"
        for name in ATTRIBUTES
    ]
    rows.append(["generated, where CLIP picks the caption's", "", *both, "–"])
    columns = ["read from", "images", *ATTRIBUTES, "place, 95 %"]
    return (
        "The reader (0.25 M weights; `python -m miniworld.train.reader`) on scenes that it never saw. Object: exactly "
        "the kinds that are there. Colour: of the objects found. Place: the 95 % quantile of the largest error of x, "
        "y, size. Generated sources do not always show what their caption says, so that what is read otherwise is the "
        "generator's mistake or the reader's; the last row has the ones that CLIP reads like the caption.\n\n"
        + markdown_table(columns, rows)
    )


def _shares(agrees: Sequence[Mapping[str, bool]]) -> list[str]:
    return [f"{np.mean([one[name] for one in agrees]):.1%}" for name in ATTRIBUTES]


def of_drawn_pairs(reader: Reader, pairs: Sequence[Pair]) -> str:
    """What the reader takes for right among drawn pairs, through the VAE, of which the truth is known."""
    found = truths_of(reader, pairs)
    rows = []
    for kind in (*EDITS, "all"):
        own = [(pair, one) for pair, one in zip(pairs, found, strict=True) if kind in (pair.kind, "all")]
        shares = [
            f"{np.mean([one.right for pair, one in own if pair.fault == fault]):.0%}"
            for fault in ("", *FAULTS)
        ]
        true = [one for pair, one in own if not pair.fault]
        quiet = [one.psnr for one in true if one.psnr is not None]
        rows.append(
            [
                kind,
                str(len(true)),
                *shares,
                *(f"{np.mean([getattr(one, name) for one in true]):.0%}" for name in _PARTS),
                f"{np.median(quiet):.1f} dB" if quiet else "–",
            ]
        )
    columns = ["edit", "of each", "true", *FAULTS, *_PARTS.values(), "median PSNR"]
    return (
        "Held to drawn pairs, through the VAE: what is found right of true edits, of edits in another layout, of none, "
        "and of another edit than the one asked for. The columns from the sixth on are of the true ones.\n\n"
        + markdown_table(columns, rows)
    )


_PARTS = {
    "carried_out": "carried out",
    "same_attributes": "attributes stay",
    "same_places": "places stay",
    "quiet": "PSNR",
}


def by_kind(kinds: Sequence[str], found: Sequence[Truth], passes: np.ndarray, kept: np.ndarray) -> str:
    """The filter at its default thresholds, for each kind of edit."""
    right, of = np.array([one.right for one in found]), np.array(kinds)
    parts = {name: np.array([getattr(one, name) for one in found]) for name in _PARTS}
    rows = []
    for kind in (*EDITS, "all"):
        own = np.ones(len(of), bool) if kind == "all" else of == kind
        precision, recall = point(passes[own], right[own])
        rows.append(
            [
                kind,
                str(own.sum()),
                f"{right[own].mean():.0%}",
                f"{passes[own].mean():.0%}",
                f"**{precision:.0%}**",
                f"**{recall:.0%}**",
                f"{right[own & ~passes].mean():.0%}",
                *(f"{part[own & passes].mean():.0%}" for part in parts.values()),
                f"{kept[own].sum()}",
                f"**{right[own & kept].mean():.0%}**",
            ]
        )
    columns = [
        "edit",
        "candidates",
        "right",
        "pass",
        "precision",
        "recall",
        "right of rejected",
        *_PARTS.values(),
        "kept",
        "right of kept",
    ]
    return (
        "The filter at its default thresholds. The four columns after the rejected are of what passes; kept are the "
        "best by clip_sim_dir of each seed.\n\n" + markdown_table(columns, rows)
    )


def by_tau(taus: np.ndarray, found: Sequence[Truth], passes: np.ndarray) -> str:
    """What becomes of edits at each τ, and what the filter makes of it."""
    right = np.array([one.right for one in found])
    carried, alone = (np.array([getattr(one, n) for one in found]) for n in ("carried_out", "left_alone"))
    rows = []
    for tau in np.unique(taus):
        own = taus == tau
        precision, recall = point(passes[own], right[own])
        shares = (
            carried[own].mean(),
            alone[own].mean(),
            right[own].mean(),
            passes[own].mean(),
            precision,
            recall,
        )
        rows.append([f"{tau:g}", *(f"{share:.0%}" for share in shares)])
    return markdown_table(["τ", "carried out", "left alone", "right", "pass", "precision", "recall"], rows)


def of_choices(chosen_by: Mapping[str, tuple[str, np.ndarray]], right: np.ndarray) -> str:
    """Four thresholds of one kind and another."""
    rows = []
    for name, (said, passes) in chosen_by.items():
        precision, recall = point(passes, right)
        rows.append([name, said, f"{passes.mean():.0%}", f"{precision:.1%}", f"{recall:.1%}"])
    return (
        "Thresholds of clip_sim_0, clip_sim_1, clip_sim_dir, clip_sim_image. The published ones are of another CLIP. "
        "Fitted ones have the best precision at that recall on the other seven eighths of the caption pairs; those "
        "named are of all.\n\n"
        + markdown_table(["choice", "thresholds", "pass", "precision", "recall"], rows)
    )


def of_rules(curves: Mapping[str, Curve], recall: float) -> str:
    """Each score by the area under its curve, and its precision where it has the default thresholds' recall."""
    best = sorted(curves.items(), key=lambda entry: -entry[1].area)
    rows = [[name, f"{one.area:.3f}", f"{one.at(recall):.1%}", f"{one.at(0.5):.1%}"] for name, one in best]
    columns = ["score", "area", f"precision at recall {recall:.2f}", "precision at recall 0.50"]
    return "One number for each candidate, cut anywhere.\n\n" + markdown_table(columns, rows)


def of_ranks(kept: Mapping[str, np.ndarray], right: np.ndarray, found: Sequence[Truth]) -> str:
    """Which τ of a seed is kept, by one score or another."""
    carried, alone = (np.array([getattr(one, n) for one in found]) for n in ("carried_out", "left_alone"))
    rows = [
        [
            name,
            str(kept[name].sum()),
            *(f"{part[kept[name]].mean():.1%}" for part in (right, carried, alone)),
        ]
        for name in RANKS
    ]
    return "Of what passes the default thresholds, the best τ of each seed, by:\n\n" + markdown_table(
        ["score", "kept", "right", "carried out", "left alone"], rows
    )
