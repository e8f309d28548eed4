from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

import p2p
from benchmarks.speed.cost_model import Load, Point, fit, measure, plot, section


def test_rows_and_images_are_counted(sd1_folder: Path):
    editor = p2p.load(sd1_folder, device="cpu")
    few, more, longer = measure(editor, [Load(2, 1, 4), Load(2, 3, 4), Load(2, 1, 8)], repeats=1)
    # A third and two thirds of 4 steps: self stops at 1 of both, cross at 1 and 3.
    assert few.images == 3
    assert (more.images, more.rows) == (9, 3 * few.rows)
    assert longer.images == few.images
    assert few.rows < longer.rows
    assert min(few.seconds, more.seconds, longer.seconds) > 0


def test_fit_recovers_known_costs(tmp_path: Path):
    counts = [(100, 4), (200, 4), (200, 12), (400, 6), (900, 30)]
    points = [
        Point(Load(k + 1), rows, images, 0.5 + 0.01 * rows + 0.002 * images)
        for k, (rows, images) in enumerate(counts)
    ]
    model = fit(points)
    assert (model.fixed, model.row, model.image) == pytest.approx((0.5, 0.01, 0.002))
    assert model.r2 == pytest.approx(1)
    assert model.worst < 1e-9
    assert "0.50 + 10.00 ms · rows + 2.0 ms · images" in section(points, model)
    plot({"values of τ": points, "caption pairs": points, "steps": points}, model, tmp_path / "a" / "b.png")
    with Image.open(tmp_path / "a" / "b.png") as picture:
        assert picture.width > 1000
