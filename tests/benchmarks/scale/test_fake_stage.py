from __future__ import annotations

from pathlib import Path

from benchmarks.scale.fake_stage import TAUS, Fake
from conf.schema import ImageFormat
from stages.formats import tar
from stages.records import Unit
from stages.write import encode_part
from tests import runs


def test_each_pair_has_its_candidates_and_one_sample() -> None:
    result = Fake(runs.config(Path(), Path()), "f")(Unit(3, runs.PAIRS[:2]))
    assert [candidate.pair_id for candidate in result.candidates if candidate.kept] == [
        p.id for p in runs.PAIRS[:2]
    ]
    assert len(result.candidates) == 2 * len(TAUS)
    samples = dict(tar.read_samples(encode_part(result, ImageFormat.png)["samples"]))
    assert list(samples) == [f"{pair.id}-000" for pair in runs.PAIRS[:2]]
