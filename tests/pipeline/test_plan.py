from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.plan import make_or_resume
from stages.records import CaptionPair
from stages.store import Store
from tests import runs


@pytest.mark.parametrize(("too_long", "kept"), [("error", 1), ("truncate", 2)])
def test_long_captions_are_set_aside_or_kept(
    sd1_folder: Path, clip_folder: Path, tmp_path: Path, too_long: str, kept: int
) -> None:
    long = "a red ball on grass" + " and sand" * 20
    pairs = [CaptionPair("a cat", "a dog instead", "a dog"), CaptionPair(long, "blue", long + " blue")]
    path = runs.write_pairs(tmp_path / "pairs.jsonl", pairs)
    config = runs.config(
        sd1_folder,
        clip_folder,
        "captions=jsonl",
        f"captions.path={path}",
        f"edit.too_long={too_long}",
    )
    plan = make_or_resume(Store(str(tmp_path / "out")), config)
    assert (plan.pairs, plan.quarantined) == (kept, 2 - kept)
    assert plan.settings["edit.too_long"] == too_long
