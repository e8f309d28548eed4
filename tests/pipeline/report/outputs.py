"""An output to report on: planned and committed by the real parts, half of it done, with captions that bite."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from conf.schema import ImageFormat
from pipeline.config import saved
from pipeline.planning.plan import LINES, MANIFEST, Plan
from pipeline.planning.run_fingerprint import FORMAT
from stages import write
from stages.candidates.sheet_previews import encode_thumbnail
from stages.formats.tar import encode_image
from stages.records import CaptionPair, Preview, Quarantined, Unit, UnitResult, WordMaps
from stages.storage import plan_files
from stages.storage.store import Store
from tests import runs
from tests.stages.unit_parts import picture, pixels
from tests.stages.unit_results import unit_result

HOSTILE = "<script>window.hurt = 1</script></script><img src=x onerror='window.hurt=2'>\"&"
QUARANTINED = 120
REASONS = ("clip_sim_dir", "left_early", "nsfw")
EDITS = (HOSTILE, "make it blue", "اجعلها زرقاء", "add a 🦊")


def result(index: int, text: str) -> UnitResult:
    """A unit of one good pair, two kept samples over τ, two misses, and a pair that failed."""
    made = unit_result(index, 2, rejected=2, failed=1)
    pair = CaptionPair(
        f"input {index} {text}", text, f"output {index}", json.dumps({"kind": f"kind{index % 2}"})
    )
    candidates = tuple(
        replace(
            one,
            pair_id=pair.id,
            tau=0.2 + 0.2 * number,
            clip_sim_dir=0.3 if one.kept else 0.1 - 0.01 * index,
            reason="" if one.kept else REASONS[index % len(REASONS)],
        )
        for number, one in enumerate(made.candidates)
    )
    samples = tuple(
        replace(sample, key=f"{pair.id}-{number:03d}", edit_prompt=text)
        for number, sample in enumerate(made.samples)
    )
    shown = Preview(
        pair, picture(1), tuple(picture(n) for n in range(4)), candidates, maps(pair) if index == 0 else ()
    )
    return replace(
        made,
        unit=Unit(index, (pair, *made.unit.pairs[1:])),
        candidates=candidates,
        samples=samples,
        previews=(shown,) if index == 0 else (),
        thumbnails=tuple(
            Preview(pair, encode_thumbnail(pixels(1)), (encode_thumbnail(pixels(n)),), (one,))
            for n, one in enumerate(candidates)
            if not one.kept
        ),
    )


def maps(pair: CaptionPair) -> tuple[WordMaps, WordMaps]:
    """A row a word that brightens to the right: of the source, and of the edit at the second τ."""
    ramp = np.tile(np.linspace(0, 255, 8).astype(np.uint8), (8, 1))
    return tuple(
        WordMaps(edit, tuple(words), encode_image(np.concatenate([ramp] * len(words)), ImageFormat.png, 100))
        for edit, words in ((-1, ["a", "ball", "<b>"]), (1, ["a", "blue", "ball", ","]))
    )


def output(url: str, done: int, planned: int = 6) -> tuple[Store, list[UnitResult]]:
    """``done`` of ``planned`` units committed, so many lines of input quarantined."""
    store = Store(url)
    results = [result(index, EDITS[index % len(EDITS)]) for index in range(planned)]
    count, files = plan_files.write_units(store, (one.unit for one in results))
    bad = [Quarantined("f", 3 + number, "not JSON", HOSTILE) for number in range(QUARANTINED)]
    store.write(LINES, "".join(json.dumps(asdict(one)) + "\n" for one in bad).encode())
    settings = runs.config(Path("/no/model"), Path("/no/clip"), f"out={url}", "filter.clip_sim_dir=0.2")
    saved.write(store, settings)
    plan = Plan(count, 2 * planned, QUARANTINED, {"format": FORMAT, "model.fingerprint": "f"}, tuple(files))
    store.write_record(MANIFEST, asdict(plan))
    commit_units(store, results[:done])
    return store, results


def commit_units(store: Store, results: Sequence[UnitResult]) -> None:
    for one in results:
        write.write_unit(store, write.encode_part(one, ImageFormat.png), write.summarise(one))
