"""Results of units, made by hand: for what comes after generating, and does not care what was generated."""

from __future__ import annotations

import functools
from pathlib import Path

from conf.schema import Config
from stages.candidates.selection import sample_metadata
from stages.records import CaptionPair, Failure, Preview, Sample, Unit, UnitResult
from tests import runs
from tests.stages.unit_parts import candidate, picture, pixels


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
