from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch

from benchmarks.speed.sweep_speed import MAPS, OURS, Timing, measure, spread_taus, table
from tests import models


@torch.inference_mode()
def test_reference_sweeps_edit_sdxl_as_ours(tmp_path: Path):
    """``measure`` compares our edits with those of materialised maps."""
    folder = models.save_stable_diffusion_xl(tmp_path / "sdxl")
    timings = list(measure(folder, 2, 3, 1.0, 1, "cpu", torch.float32))
    assert [timing.method for timing in timings] == [OURS, "InstructPix2Pix", MAPS, "plain generation"]
    assert [timing.rows for timing in timings[1:]] == [2 * 4 * 3, 2 * 3 * 3, 2 * 3 * 3]
    assert all(timing.seconds > 0 for timing in timings)


@pytest.mark.parametrize("count", [1, 9, 17])
def test_taus_are_spread_evenly_inside_the_interval(count: int):
    taus = (0.0, *spread_taus(count), 1.0)
    assert len(taus) == count + 2
    assert [b - a for a, b in pairwise(taus)] == pytest.approx([1 / (count + 1)] * (count + 1))


def test_times_are_multiples_of_ours_for_the_same_sweep():
    timings = [
        Timing(OURS, 1, 20, 60, 2.0, 5.0),
        Timing(MAPS, 1, 20, 80, 3.0, 9.0),
        Timing(OURS, 9, 20, 300, 8.0, 5.0),
        Timing(MAPS, 9, 20, 400, 20.0, 9.0),
    ]
    cells = [line.strip("| ").split(" | ") for line in table(timings).splitlines()[2:]]
    assert [line[2] for line in cells] == [OURS, MAPS, OURS, MAPS]
    assert [line[6] for line in cells] == ["1.00", "1.50", "1.00", "2.50"]
    assert [line[5] for line in cells] == ["30", "27", "38", "20"]
