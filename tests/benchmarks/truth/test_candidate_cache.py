from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.truth.candidate_cache import (
    SCORES,
    Candidates,
    Settings,
    compute_scores,
    load_candidates,
)
from benchmarks.truth.shipped_edits import shipped_edits
from miniworld.edits import Edit

SETTINGS = Settings(per_kind=1, seeds=2, taus=(0.2, 0.8), steps=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("candidates")


@pytest.fixture(scope="module")
def loaded(folder: Path) -> tuple[list[Edit], Candidates]:
    return load_candidates(SETTINGS, folder)


def test_each_edit_has_its_samples_over_tau(loaded: tuple[list[Edit], Candidates]):
    edits, candidates = loaded
    assert edits == shipped_edits(1)
    count = len(edits)
    assert len(candidates.edit) == count * SETTINGS.seeds * len(SETTINGS.taus)
    assert sorted(set(zip(candidates.edit, candidates.sample, candidates.tau, strict=True))) == [
        (edit, sample, tau) for edit in range(count) for sample in (0, 1) for tau in SETTINGS.taus
    ]
    assert candidates.sources.shape == (2 * count, 64, 64, 3)
    assert candidates.outputs.shape == (len(candidates.edit), 64, 64, 3)
    assert (candidates.source == candidates.sample * count + candidates.edit).all()
    assert not np.array_equal(candidates.sources[:count], candidates.sources[count:]), "seeds differ"


def test_scores_are_those_of_the_stored_images(loaded: tuple[list[Edit], Candidates]):
    edits, candidates = loaded
    some = np.arange(0, len(candidates.edit), 5)
    again = compute_scores(
        candidates.sources[candidates.source[some]],
        candidates.outputs[some],
        [edits[int(edit)] for edit in candidates.edit[some]],
    )
    np.testing.assert_allclose(again, candidates.scores[some], atol=1e-5)
    assert candidates.score("ssim", "clip_sim_0").shape == (2, len(candidates.edit))
    assert (candidates.score("ssim")[0] == candidates.scores[:, SCORES.index("ssim")]).all()


def test_candidates_are_made_once(
    loaded: tuple[list[Edit], Candidates], folder: Path, capsys: pytest.CaptureFixture[str]
):
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert len(before) == SETTINGS.seeds
    _, again = load_candidates(SETTINGS, folder)
    for name, values in vars(again).items():
        assert np.array_equal(values, getattr(loaded[1], name))
    _, fewer = load_candidates(replace(SETTINGS, seeds=1), folder)
    assert np.array_equal(fewer.outputs, again.outputs[again.sample == 0])
    assert capsys.readouterr().out == "", "nothing was rendered"
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before
