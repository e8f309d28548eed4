from __future__ import annotations

import numpy as np
import pytest

import miniworld
from benchmarks.truth.background_preservation import P2P, SDEDIT, Edited, cases, curve, psnr, summary
from benchmarks.truth.word_maps import segment


def test_every_shipped_pair_is_a_case_with_the_words_of_what_changes_or_stays():
    chosen = cases(miniworld.CAPTIONS, 3)
    assert len(chosen) == 8 * 3
    for case in chosen:
        assert (not case.changed and not case.kept) == (case.kind in ("add", "style"))
        after = [thing.kind for thing in case.after.things]
        if case.kind in ("object", "replace", "remove"):
            assert len(case.changed) == 1
            assert case.changed[0] not in after
        if case.kind == "colour":
            assert len(case.changed) == 1
            assert case.changed[0] in after
        if case.kind in ("ground", "sky"):
            assert list(case.kept) == after


def test_psnr_is_of_the_background_alone():
    before = np.full((8, 8, 3), 100, dtype=np.uint8)
    after, where = before.copy(), np.ones((8, 8), dtype=bool)
    after[0] = 250
    where[0] = False
    assert psnr(before, after, where) == 60.0
    assert psnr(before, before + np.uint8(10), where) == pytest.approx(20 * np.log10(255 / 10))


def test_a_map_is_cut_at_a_share_of_its_range():
    heat = np.array([[0.2, 0.3], [0.5, 1.2]])
    assert segment(heat, 0.25).tolist() == [[False, False], [True, True]]
    assert segment(heat, 0.0).all()


def test_tables_and_curves_are_means():
    edited = [
        Edited(P2P, 0.4, "colour", 30.0, True, True),
        Edited(P2P, 0.4, "colour", 20.0, False, True),
        Edited(P2P, 0.4, "style", None, False, False),
        Edited(SDEDIT, 0.5, "colour", 15.0, False, False),
    ]
    assert "| Prompt-to-Prompt | τ = 0.4 | 25.0 dB | 33% | 67% |" in summary(edited)
    assert curve(edited, P2P) == [(0.4, 1.0, 25.0)]
    assert curve(edited, SDEDIT) == [(0.5, 0.0, 15.0)]
