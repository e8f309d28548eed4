"""Candidates of shipped caption pairs, with their images and scores, made once and kept in a file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np

import filters
import miniworld
import p2p
from benchmarks.truth.background_preservation import Case, cases
from miniworld.language import caption
from stages.candidates.scoring import CLIP_SCORES

MEASURES = ("ssim", "changed_area")
GAINS = ("gain_0", "gain_1")


@dataclass(frozen=True)
class Settings:
    """What is generated: all that changes what the file holds, beside the models."""

    per_kind: int = 16
    seeds: int = 2
    taus: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    steps: int = 12
    guidance: float = 5.0
    sampler: str = "ddim"


@dataclass(frozen=True)
class Candidates:
    """N candidates of some cases, each case with as many samples, each sample with one source image.

    ``case``, ``sample`` (of the case), ``source`` (the row of ``sources``) are int (N,), ``tau`` is float (N,);
    ``sources`` and ``edits`` uint8 images; ``scores`` float32 (N, 8) by `CLIP_SCORES`, `MEASURES` and `GAINS`: by how
    much more an image is like its own caption than like the other's.
    """

    case: np.ndarray
    sample: np.ndarray
    source: np.ndarray
    tau: np.ndarray
    sources: np.ndarray
    edits: np.ndarray
    scores: np.ndarray

    def score(self, *names: str) -> np.ndarray:
        """Those scores, float32 (len(names), N)."""
        return self.scores.T[[(*CLIP_SCORES, *MEASURES, *GAINS).index(name) for name in names]]


def candidates(settings: Settings, folder: Path) -> tuple[list[Case], Candidates]:
    """The cases, and their candidates. Each sample's are in a file of their own, which is made where there is none."""
    chosen = cases(miniworld.CAPTIONS, settings.per_kind)
    told = {
        **asdict(replace(settings, seeds=0)),
        "captions": [_captions(case) for case in chosen],
        "generator": p2p.fingerprint(miniworld.MODEL),
        "clip": filters.fingerprint(f"local-dir:{miniworld.CLIP}"),
    }
    name = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for sample in range(settings.seeds):
        path = folder / f"candidates-{name}-{sample}.npz"
        if not path.exists():
            made = _made(chosen, settings, sample)
            with path.with_suffix(".part").open("wb") as file:
                np.savez(file, **{field.name: getattr(made, field.name) for field in fields(made)})
            path.with_suffix(".part").rename(path)
        with np.load(path) as kept:
            parts.append({field.name: kept[field.name] for field in fields(Candidates)})
        parts[-1]["source"] += sample * len(chosen)
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return chosen, Candidates(**whole)


def _captions(case: Case) -> tuple[str, str]:
    return caption(case.before), caption(case.after)


def _made(chosen: Sequence[Case], settings: Settings, sample: int) -> Candidates:
    editor = p2p.load(miniworld.MODEL, device="cpu")
    requests = [
        p2p.SweepRequest(
            *_captions(case),
            settings.taus,
            seed=int.from_bytes(hashlib.sha256(f"{sample}:{_captions(case)}".encode()).digest()[:4]),
            steps=settings.steps,
            guidance_scale=settings.guidance,
            sampler=settings.sampler,
        )
        for case in chosen
    ]
    sweeps: list[p2p.Sweep] = []
    for start in range(0, len(requests), 16):
        sweeps += editor.sweep_many(requests[start : start + 16])
        print(f"candidates: sample {sample}, {len(sweeps)} of {len(requests)} caption pairs", flush=True)
    case = np.arange(len(chosen)).repeat(len(settings.taus))
    sources = np.stack([sweep.source for sweep in sweeps])
    edits = np.concatenate([sweep.edits for sweep in sweeps])
    return Candidates(
        case=case,
        sample=np.full(len(case), sample),
        source=case.copy(),
        tau=np.tile(settings.taus, len(chosen)),
        sources=sources,
        edits=edits,
        scores=scored(sources[case], edits, [chosen[int(k)] for k in case]),
    )


def scored(inputs: np.ndarray, outputs: np.ndarray, of: Sequence[Case]) -> np.ndarray:
    """The scores of N pairs of images, each with its case: float32 (N, 8)."""
    clip = filters.load_clip(f"local-dir:{miniworld.CLIP}", device="cpu")
    texts = [list(texts) for texts in zip(*map(_captions, of), strict=True)]
    four = clip.score(inputs, outputs, *texts)
    images = clip.encode_images(inputs), clip.encode_images(outputs)
    said = clip.encode_captions(texts[0]), clip.encode_captions(texts[1])
    gains = [(images[k] * (said[k] - said[1 - k])).sum(-1).numpy() for k in (0, 1)]
    measured = [
        filters.load_measure(filters.MeasureSpec(kind), "cpu").score(inputs, outputs) for kind in MEASURES
    ]
    return np.stack([*(getattr(four, name) for name in CLIP_SCORES), *measured, *gains], 1).astype(np.float32)
