from __future__ import annotations

import numpy as np
import pytest

from benchmarks.truth import truth_tables
from benchmarks.truth.candidate_cache import Settings
from benchmarks.truth.edit_truth import EditTruth
from benchmarks.truth.precision_recall import curve
from benchmarks.truth.reader_accuracy import ATTRIBUTES, drawn_pairs, unseen_layouts
from miniworld.calibrate import FAULTS
from miniworld.edits import EDITS
from miniworld.scene_reader import Reader, load_reader

RIGHT = EditTruth(True, True, True, 30.0)
BLURRED = EditTruth(True, True, True, 10.0)
NOT_MADE = EditTruth(False, True, True, None)


@pytest.fixture(scope="module")
def reader() -> Reader:
    return load_reader()


def records(text: str) -> list[dict[str, str]]:
    """The lines of the only table in the text, by column."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[2:]]


def test_filter_is_counted_by_kind_of_edit():
    truths = [RIGHT, BLURRED, RIGHT, NOT_MADE] * len(EDITS)
    kinds = [kind for kind in EDITS for _ in range(4)]
    passes = np.array([True, True, False, False] * len(EDITS))
    kept = np.array([True, False, False, False] * len(EDITS))
    table = records(truth_tables.filter_table(kinds, truths, passes, kept))
    assert [record["edit"] for record in table] == [*EDITS, "all"]
    for record in table:
        of_kind = 4 * len(EDITS) if record["edit"] == "all" else 4
        assert (record["candidates"], record["kept"]) == (str(of_kind), str(of_kind // 4))
        assert (record["right"], record["pass"]) == ("50%", "50%")
        assert (record["precision"], record["recall"], record["right of rejected"]) == ("50%", "50%", "50%")
        assert (record["edit made"], record["PSNR"], record["right of kept"]) == ("100%", "50%", "100%")


def test_each_tau_has_its_own_shares():
    taus = np.array([0.2, 0.2, 0.8, 0.8, 0.8])
    truths = [NOT_MADE, RIGHT, BLURRED, BLURRED, RIGHT]
    passes = np.array([True, True, False, True, True])
    table = records(truth_tables.tau_table(taus, truths, passes))
    assert [record["τ"] for record in table] == ["0.2", "0.8"]
    assert [record["edit made"] for record in table] == ["50%", "100%"]
    assert [record["preserved"] for record in table] == ["100%", "33%"]
    assert [record["precision"] for record in table] == ["50%", "50%"]
    assert [record["recall"] for record in table] == ["100%", "100%"]


def test_thresholds_are_compared_by_what_passes():
    right = np.array([True, True, False, False])
    passing = {"strict": np.array([True, False, False, False]), "loose": np.ones(4, bool)}
    choices = {"strict": (0.9, 0.8), "loose": (0.1, 0.2)}
    strict, loose = records(truth_tables.thresholds_table(choices, passing, right))
    assert (strict["thresholds"], strict["pass"]) == ("0.90 0.80", "25%")
    assert (strict["precision"], strict["recall"]) == ("100.0%", "50.0%")
    assert (loose["precision"], loose["recall"]) == ("50.0%", "100.0%")


def test_scores_come_best_first():
    right = np.array([True, True, False, False])
    curves = {
        "bad": curve(np.array([0.1, 0.2, 0.8, 0.9]), right),
        "good": curve(np.array([0.9, 0.8, 0.2, 0.1]), right),
    }
    good, bad = records(truth_tables.scores_table(curves, 0.75))
    assert (good["score"], good["area"], good["precision at recall 0.75"]) == ("good", "1.000", "100.0%")
    assert (bad["score"], bad["precision at recall 0.75"]) == ("bad", "50.0%")


def test_the_reader_is_measured_on_drawings(reader: Reader):
    drawn, through_vae = records(truth_tables.reader_table(reader, unseen_layouts(20)))
    assert drawn["images"] == through_vae["images"] == "20"
    for name in ATTRIBUTES:
        assert float(drawn[name].rstrip("%")) >= 90
    table = records(truth_tables.drawn_pairs_table(reader, drawn_pairs(1)))
    assert [record["edit"] for record in table] == [*EDITS, "all"]
    total = table[-1]
    assert total["of each"] == str(len(EDITS))
    assert float(total["true"].rstrip("%")) > max(float(total[fault].rstrip("%")) for fault in FAULTS)


def test_introduction_names_settings_and_counts():
    text = truth_tables.intro(Settings(per_kind=3, seeds=2, taus=(0.2, 0.8)), 21, 84_000, 2)
    assert "21 shipped caption pairs, 3 of each kind, 2 seed(s), τ 0.2 0.8: 84,000 candidates" in text
