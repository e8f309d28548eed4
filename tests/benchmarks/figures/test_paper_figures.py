from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import filters
import miniworld
import p2p
from benchmarks.figures import paper_figures
from benchmarks.figures.paper_figures import DRAWINGS, Models
from p2p.sweep.request import SweepRequest

SEEDS = 2
REQUESTS = [
    SweepRequest("a red ball on grass", target, (0.8,))
    for target in ("a blue ball on grass", "a red ball on snow")
]


@pytest.fixture(scope="module")
def models() -> Models:
    clip = filters.load_clip(f"local-dir:{miniworld.CLIP}", device="cpu")
    return Models(p2p.load(miniworld.MODEL, device="cpu"), clip, SEEDS)


def test_the_best_seed_is_the_same_for_all_requests(models: Models, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(paper_figures, "STEPS", 4)
    tried = {
        seed: models.editor.sweep_many(
            [
                p2p.SweepRequest(
                    request.source, request.target, request.taus, seed=seed, steps=4, guidance_scale=5.0
                )
                for request in REQUESTS
            ]
        )
        for seed in range(SEEDS)
    }
    best = models.best_sweeps(REQUESTS)
    same = [
        all(np.abs(a.edits.astype(int) - b.edits).max() <= 2 for a, b in zip(best, sweeps, strict=True))
        for sweeps in tried.values()
    ]
    assert sum(same) == 1
    ratings = [
        sum(models._rate(request, sweep, False) for request, sweep in zip(REQUESTS, sweeps, strict=True))
        for sweeps in tried.values()
    ]
    assert same.index(True) == int(np.argmax(ratings))


def test_an_unknown_figure_is_an_error(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    with pytest.raises(SystemExit) as stopped:
        paper_figures.main(["8-unknown", "--out", str(tmp_path / "figures")])
    assert stopped.value.code == 2
    assert "unknown figure '8-unknown'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
@pytest.mark.parametrize("name", DRAWINGS)
def test_each_figure_is_drawn(name: str, tmp_path: Path):
    paper_figures.main([name, "--seeds", "1", "--out", str(tmp_path)])
    (path,) = tmp_path.iterdir()
    assert path.name == f"{name}.png"
    assert len(Image.open(path).convert("RGB").getcolors(1 << 16) or ()) > 20
