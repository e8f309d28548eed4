from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import filters
from filters.measures.changed_area import ChangedArea
from filters.measures.ssim import Ssim

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)


def test_a_measure_is_what_its_kind_says() -> None:
    spec = filters.MeasureSpec("changed_area", tolerance=0.3)
    expected = ChangedArea(0.3).score(IMAGES[:2], IMAGES[1:])
    assert (filters.load_measure(spec).score(IMAGES[:2], IMAGES[1:]) == expected).all()
    assert isinstance(filters.load_measure(filters.MeasureSpec("ssim")), Ssim)


def test_its_score_is_called_as_asked_or_after_what_it_measures() -> None:
    assert filters.MeasureSpec("dino", model="m").score == "dino_sim"
    assert filters.MeasureSpec("classifier", model="m", label="nsfw").score == "nsfw"
    assert filters.MeasureSpec("ssim", name="structure").score == "structure"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"kind": "psnr"}, "no measure 'psnr': there are dino, classifier, lpips, ssim, changed_area"),
        ({"kind": "lpips"}, "lpips needs a model"),
        ({"kind": "dino"}, "dino needs a model"),
        ({"kind": "ssim", "model": "m"}, "ssim takes no model"),
        ({"kind": "classifier", "model": "m"}, "classifier needs a label"),
        ({"kind": "ssim", "label": "l"}, "ssim takes no label"),
        ({"kind": "ssim", "name": "a.b"}, "cannot be called 'a.b'"),
    ],
)
def test_what_cannot_be_is_named(wrong: dict[str, str], said: str) -> None:
    with pytest.raises(filters.FilterError, match=said):
        filters.MeasureSpec(**wrong)


def test_the_fingerprint_follows_what_is_measured_and_not_where_or_within_what(tmp_path: Path) -> None:
    for name in ("one", "copy", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(name if name == "other" else "{}")

    def digest(folder: str, **more: object) -> str:
        spec = filters.MeasureSpec("dino", model=str(tmp_path / folder), **more)  # type: ignore[arg-type]
        return filters.measure_fingerprint(spec)

    assert digest("one") == digest("copy") == digest("one", bounds=filters.Bounds(0.4))
    assert digest("one") != digest("other")
    with pytest.raises(filters.FilterError, match="no such folder here"):
        digest("absent")


def test_what_a_measure_rejects_is_not_chosen() -> None:
    scores = filters.ClipScores(*(np.full(3, 0.9, np.float32) for _ in range(4)))
    thresholds = filters.Thresholds(0.2, 0.2, 0.2, 0.2)
    assert filters.choose([0, 1, 1], scores, thresholds, ["ssim", "ssim", ""]) == ["ssim", "ssim", ""]
    with pytest.raises(filters.FilterError, match="2 measured reasons for 3 scores"):
        filters.choose([0, 1, 1], scores, thresholds, ["", ""])
