"""A caption pair after Prompt-to-Prompt and CLIP: its candidates, the samples kept, its row of the contact sheet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import p2p
from conf.schema import Config, ImageFormat
from stages.candidates.early_scoring import LEFT_EARLY
from stages.candidates.scoring import Judge, Judged
from stages.formats.images import encode
from stages.formats.score_table import columns
from stages.records import Candidate, CaptionPair, Preview, Rejected, Sample

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Rendered:
    """One pair's requests and sweeps, by sample index, and its candidates: sample after sample, τ after τ.

    ``judged`` are the candidates as a small decoder's images were scored; empty where there is none.
    """

    pair: CaptionPair
    asked: tuple[p2p.SweepRequest, ...]
    sweeps: tuple[p2p.Sweep, ...]
    candidates: tuple[Candidate, ...]
    judged: tuple[Candidate, ...] = ()


def choose(
    pair: CaptionPair,
    asked: Sequence[p2p.SweepRequest],
    judged: Judged,
    judge: Judge,
    near: Callable[[int, int], bool] | None = None,
) -> tuple[Candidate, ...]:
    """The verdict on every candidate of one pair, in the order of ``judged``: sample after sample, τ after τ.

    ``near`` as ``filters.choose`` takes it.
    """
    tried = [(index, request, tau) for index, request in enumerate(asked) for tau in request.taus]
    chosen, scores = judge.choose([index for index, _, _ in tried], judged, near), judged.scores
    reasons = [
        LEFT_EARLY if outside == LEFT_EARLY else reason
        for reason, outside in zip(chosen, judged.outside, strict=True)
    ]
    return tuple(
        Candidate(
            pair_id=pair.id,
            sample_index=index,
            seed=request.seed,
            tau=float(tau),
            cfg_scale=float(request.guidance_scale),
            clip_sim_0=float(scores.clip_sim_0[row]),
            clip_sim_1=float(scores.clip_sim_1[row]),
            clip_sim_dir=float(scores.clip_sim_dir[row]),
            clip_sim_image=float(scores.clip_sim_image[row]),
            kept=reason == "",
            reason=reason,
            measures=judged.measures(row),
        )
        for row, ((index, request, tau), reason) in enumerate(zip(tried, reasons, strict=True))
    )


def samples(rendered: Rendered, config: Config, model_fingerprint: str) -> list[Sample]:
    """The kept candidates with their images, by sample index."""
    kept = []
    for candidate in rendered.candidates:
        if not candidate.kept:
            continue
        source, edit = _images(rendered, candidate)
        kept.append(
            Sample(
                key=key_of(candidate),
                input_image=source,
                edited_image=edit,
                edit_prompt=rendered.pair.edit,
                metadata=metadata(rendered.pair, candidate, config, model_fingerprint),
            )
        )
    return kept


def rejected(rendered: Rendered) -> list[Rejected]:
    """The images of candidates that were finished and not kept, by sample index."""
    samples: dict[int, list[Candidate]] = {}
    for candidate in rendered.candidates:
        samples.setdefault(candidate.sample_index, []).append(candidate)
    return [
        Rejected(
            key_of(own[0]),
            rendered.sweeps[index].source,
            {place: _images(rendered, c)[1] for place, c in enumerate(own) if _was_rejected(c)},
        )
        for index, own in samples.items()
        if any(map(_was_rejected, own))
    ]


def _was_rejected(candidate: Candidate) -> bool:
    return not candidate.kept and candidate.reason != LEFT_EARLY


def _images(rendered: Rendered, candidate: Candidate) -> tuple[Pixels, Pixels]:
    sweep = rendered.sweeps[candidate.sample_index]
    return sweep.source, sweep.edits[rendered.asked[candidate.sample_index].taus.index(candidate.tau)]


def key_of(candidate: Candidate) -> str:
    """A sample's name, without a dot. At most one τ of a sample is kept, so pair and sample index name it."""
    return f"{candidate.pair_id}-{candidate.sample_index:03d}"


def metadata(
    pair: CaptionPair, candidate: Candidate, config: Config, model_fingerprint: str
) -> dict[str, str | int | float | bool]:
    """Everything that makes the sample again. Each field has one type in every sample, and none is null."""
    return {
        **columns(pair, candidate),
        **candidate.measures,
        "steps": config.sampler.steps,
        "sampler": config.sampler.name,
        # Text, empty for none: no null, and JSON has no infinity.
        "guidance_interval": " to ".join(map(str, config.sampler.guidance_interval or ())),
        "edit_method": config.edit.method.value,
        "edit_kind": config.edit.kind.value,
        "cross_gain": float(config.edit.cross_gain),
        "self_gain": float(config.edit.self_gain),
        "inject_unconditional": config.edit.inject_unconditional,
        "rounding": config.edit.rounding.value,
        "too_long": config.edit.too_long.value,
        "pooled": config.edit.pooled.value,
        "model": model_name(config),
        "model_revision": config.model.revision or "",
        "model_fingerprint": model_fingerprint,
        "dtype": config.model.dtype.value,
        "meta": pair.meta,
    }


def model_name(config: Config) -> str:
    """What the model is called where it is told of: never the folder it lies in."""
    return Path(config.model.path).name if config.model.name == "path" else config.model.name


def best(rendered: Rendered) -> Candidate:
    """The candidate that shows most: a kept one if there is one, then the best in clip_sim_dir."""
    return max(rendered.candidates, key=lambda candidate: (candidate.kept, candidate.clip_sim_dir))


def preview(rendered: Rendered) -> Preview:
    """The sample of the candidate that shows most."""
    index = best(rendered).sample_index
    sweep = rendered.sweeps[index]
    own = tuple(c for c in rendered.candidates if c.sample_index == index)
    return Preview(
        pair=rendered.pair,
        source=encode(sweep.source, ImageFormat.png, 100),
        edits=tuple(encode(edit, ImageFormat.png, 100) for edit in sweep.edits),
        candidates=own,
    )
