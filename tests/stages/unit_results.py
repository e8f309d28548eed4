"""Results of units, made by hand: for what comes after generating, and does not care what was generated."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np

from conf.schema import Config, ImageFormat
from stages.candidates.selection import sample_metadata
from stages.formats.tar import encode_image
from stages.records import Candidate, CaptionPair, Failure, Preview, Sample, Unit, UnitResult
from tests import runs


def unit_result(index: int, kept: int, rejected: int = 2, failed: int = 0, previews: int = 0) -> UnitResult:
    """A unit of one pair with ``kept`` samples, ``rejected`` candidates, and ``failed`` pairs beside it."""
    pair = CaptionPair(f"a red ball {index}", "make it blue", f"a blue ball {index}", '{"url": "u"}')
    lost = tuple(CaptionPair(f"lost {index} {k}", "e", "o") for k in range(failed))
    candidates = tuple(
        candidate(pair, number, "" if number < kept else "clip_sim_dir") for number in range(kept + rejected)
    )
    samples = tuple(
        Sample(
            key=f"{pair.id}-{c.sample_index:03d}",
            input_image=pixels(c.seed),
            edited_image=pixels(c.seed + 1),
            edit_prompt=pair.edit,
            metadata=sample_metadata(pair, c, _config(), "f"),
        )
        for c in candidates
        if c.kept
    )
    shown = tuple(Preview(pair, picture(1), (picture(2),), candidates[:1]) for _ in range(previews))
    return UnitResult(
        unit=Unit(index, (pair, *lost)),
        samples=samples,
        candidates=candidates,
        failures=tuple(Failure(one.id, "RuntimeError: no") for one in lost),
        previews=shown,
        rows=10,
        seconds={"denoise": 1.5, "score": 0.25},
    )


@functools.cache
def _config() -> Config:
    return runs.config(Path("/no/model"), Path("/no/clip"))


def candidate(pair: CaptionPair, number: int, reason: str) -> Candidate:
    return Candidate(
        pair_id=pair.id,
        sample_index=number,
        seed=1000 + number,
        tau=0.5,
        cfg_scale=5.0,
        clip_sim_0=0.25,
        clip_sim_1=0.5,
        clip_sim_dir=0.125,
        clip_sim_image=0.75,
        kept=reason == "",
        reason=reason,
    )


def pixels(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)


def picture(seed: int) -> bytes:
    return encode_image(pixels(seed), ImageFormat.png, 100)
