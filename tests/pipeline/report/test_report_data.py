from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.planning.plan import PlanError
from pipeline.report import report_data
from pipeline.report.report_data import COLUMNS, read_report_data
from stages.storage.commits import commit_name, read_commit
from stages.storage.store import Store
from tests.pipeline.report.outputs import QUARANTINED, output


def test_data_of_a_live_run_is_that_of_its_commits(tmp_path: Path):
    store, results = output(str(tmp_path / "out"), 2)
    data = read_report_data(store)
    made = [candidate for result in results[:2] for candidate in result.candidates]
    assert set(COLUMNS) <= set(data.scores.column_names)
    assert data.scores["pair_id"].to_pylist() == [candidate.pair_id for candidate in made]
    assert data.funnel.candidates == len(made)
    assert [commit["unit"] for commit in data.commits] == [0, 1]
    assert all(0 < before <= after for before, after in [data.committed_at])
    assert {data.unit_of[pair.id] for pair in data.pairs.values()} == {0, 1}
    assert len(data.quarantined) == QUARANTINED
    assert data.pictures


def test_a_large_run_is_read_from_units_evenly_spread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    store, results = output(str(tmp_path / "out"), 6)
    whole = read_report_data(store)
    monkeypatch.setattr(report_data, "MOST_UNITS", 3)
    # Units that have pictures belong to the report in any case.
    for unit in range(6):
        commit = read_commit(store, unit)
        plain = {kind: part for kind, part in commit["part"].items() if kind in ("samples", "scores")}
        changed = commit if unit == 3 else {**commit, "part": plain, "failures": []}
        store.write_record(commit_name(unit), changed)
    data = read_report_data(store)
    assert data.funnel.candidates == whole.funnel.candidates
    assert (data.units_done, data.stride) == (6, 2)
    assert [commit["unit"] for commit in data.commits] == [0, 2, 3, 4]
    made = [candidate.pair_id for unit in (0, 2, 3, 4) for candidate in results[unit].candidates]
    assert data.scores["pair_id"].to_pylist() == made
    assert len(data.committed_at) == len(data.committed_pairs) == 6


def test_a_run_without_commits_has_empty_scores(tmp_path: Path):
    store, _ = output(str(tmp_path / "out"), 0)
    data = read_report_data(store)
    assert (data.scores.num_rows, data.pairs, data.commits) == (0, {}, ())


def test_a_folder_without_a_plan_is_an_error(tmp_path: Path):
    with pytest.raises(PlanError):
        read_report_data(Store(str(tmp_path)))
