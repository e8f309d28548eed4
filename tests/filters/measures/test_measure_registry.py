from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import filters
from filters.measures.changed_area import ChangedArea
from filters.measures.ssim import Ssim

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)


def test_the_kind_names_the_measure() -> None:
    spec = filters.MeasureSpec("changed_area", tolerance=0.3)
    expected = ChangedArea(0.3).score(IMAGES[:2], IMAGES[1:])
    assert (filters.load_measure(spec).score(IMAGES[:2], IMAGES[1:]) == expected).all()
    assert isinstance(filters.load_measure(filters.MeasureSpec("ssim")), Ssim)


def test_a_score_has_the_given_name_or_the_default() -> None:
    assert filters.MeasureSpec("dino", model="m").score == "dino_sim"
    assert filters.MeasureSpec("classifier", model="m", label="nsfw").score == "nsfw"
    assert filters.MeasureSpec("ssim", name="structure").score == "structure"


@pytest.mark.parametrize(
    ("wrong", "match"),
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
def test_an_invalid_spec_is_an_error(wrong: dict[str, str], match: str) -> None:
    with pytest.raises(filters.FilterError, match=match):
        filters.MeasureSpec(**wrong)


def test_the_fingerprint_depends_on_the_model_bytes_alone(tmp_path: Path) -> None:
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
