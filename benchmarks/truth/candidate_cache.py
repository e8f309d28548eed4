"""Makes candidates of shipped caption pairs, with images and scores, and caches them in files."""

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
from benchmarks.truth.shipped_edits import shipped_edits
from miniworld.edits import Edit
from miniworld.scene_captions import caption
from stages.candidates.scoring import CLIP_SCORES

MEASURES = ("ssim", "changed_area")
SCORES = (*CLIP_SCORES, *MEASURES)


@dataclass(frozen=True)
class Settings:
    """Settings that, with the models, decide what a file holds."""

    per_kind: int = 16
    seeds: int = 2
    taus: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    steps: int = 12
    guidance: float = 5.0
    sampler: str = "ddim"


@dataclass(frozen=True)
class Candidates:
    """N candidates of some edits; every edit has as many samples, and every sample one source image.

    Attributes:
        edit, sample, source: int (N,): the edit, its sample, and the index into ``sources``.
        tau: float (N,).
        sources, outputs: uint8 images.
        scores: float32 (N, 6) by `SCORES`.
    """

    edit: np.ndarray
    sample: np.ndarray
    source: np.ndarray
    tau: np.ndarray
    sources: np.ndarray
    outputs: np.ndarray
    scores: np.ndarray

    def score(self, *names: str) -> np.ndarray:
        """The named scores, float32 (len(names), N)."""
        return self.scores.T[[SCORES.index(name) for name in names]]


def load_candidates(settings: Settings, folder: Path) -> tuple[list[Edit], Candidates]:
    """The edits and their candidates; each sample's candidates are made once and kept in a file of their own."""
    edits = shipped_edits(settings.per_kind)
    key = {
        **asdict(replace(settings, seeds=0)),
        "captions": [_captions(edit) for edit in edits],
        "generator": p2p.fingerprint(miniworld.MODEL),
        "clip": filters.fingerprint(f"local-dir:{miniworld.CLIP}"),
    }
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for sample in range(settings.seeds):
        path = folder / f"candidates-{digest}-{sample}.npz"
        if not path.exists():
            candidates = _render(edits, settings, sample)
            with path.with_suffix(".part").open("wb") as file:
                np.savez(file, **vars(candidates))
            path.with_suffix(".part").rename(path)
        with np.load(path) as arrays:
            parts.append({field.name: arrays[field.name] for field in fields(Candidates)})
        parts[-1]["source"] += sample * len(edits)
    return edits, Candidates(**{name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def _captions(edit: Edit) -> tuple[str, str]:
    return caption(edit.before), caption(edit.after)


def _render(edits: Sequence[Edit], settings: Settings, sample: int) -> Candidates:
    editor = p2p.load(miniworld.MODEL, device="cpu")
    requests = [
        p2p.SweepRequest(
            *_captions(edit),
            settings.taus,
            seed=int.from_bytes(hashlib.sha256(f"{sample}:{_captions(edit)}".encode()).digest()[:4]),
            steps=settings.steps,
            guidance_scale=settings.guidance,
            sampler=settings.sampler,
        )
        for edit in edits
    ]
    sweeps: list[p2p.Sweep] = []
    for start in range(0, len(requests), 16):
        sweeps += editor.sweep_many(requests[start : start + 16])
        print(f"candidates: sample {sample}, {len(sweeps)} of {len(requests)} caption pairs", flush=True)
    index = np.arange(len(edits)).repeat(len(settings.taus))
    sources = np.stack([sweep.source for sweep in sweeps])
    outputs = np.concatenate([sweep.edits for sweep in sweeps])
    return Candidates(
        edit=index,
        sample=np.full(len(index), sample),
        source=index.copy(),
        tau=np.tile(settings.taus, len(edits)),
        sources=sources,
        outputs=outputs,
        scores=compute_scores(sources[index], outputs, [edits[int(k)] for k in index]),
    )


def compute_scores(inputs: np.ndarray, outputs: np.ndarray, edits: Sequence[Edit]) -> np.ndarray:
    """The `SCORES` of N pairs of images, each with its edit: float32 (N, 6)."""
    clip = filters.load_clip(f"local-dir:{miniworld.CLIP}", device="cpu")
    captions = [list(texts) for texts in zip(*map(_captions, edits), strict=True)]
    clip_scores = clip.score(inputs, outputs, *captions)
    measures = [
        filters.load_measure(filters.MeasureSpec(name), "cpu").score(inputs, outputs) for name in MEASURES
    ]
    return np.stack([*(getattr(clip_scores, name) for name in CLIP_SCORES), *measures], 1).astype(np.float32)
