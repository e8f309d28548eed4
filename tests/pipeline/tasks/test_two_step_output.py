from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.config import resolve
from pipeline.planning.plan import PlanError, make_or_resume
from pipeline.tasks import two_step_output
from pipeline.tasks.task import task_of
from stages.storage.ownership import Holding, claim
from stages.storage.store import Store
from tests.pipeline.outputs import planned
from tests.pipeline.pairs import small


def test_an_output_of_images_has_one_step(tmp_path: Path) -> None:
    planned(tmp_path, 2)
    assert [store.url for store in two_step_output.planned_stores(str(tmp_path))] == [str(tmp_path)]
    assert two_step_output.pairs_funnel(Store(str(tmp_path))) is None


def test_the_writing_step_comes_first_and_may_stand_alone(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="not the output of a run"):
        two_step_output.planned_stores(str(tmp_path))
    config = resolve.read_pairs_settings(small.settings(tmp_path, f"out={tmp_path / 'pairs'}"))
    make_or_resume(Store(config.out), task_of(config))
    assert [store.url for store in two_step_output.planned_stores(str(tmp_path))] == [config.out]
    assert [store.url for store in two_step_output.planned_stores(config.out)] == [config.out]
    # Not before the last caption is done: what is near an earlier one is known no sooner.
    assert two_step_output.pairs_funnel(Store(str(tmp_path))) is None
    planned(tmp_path, 2)
    assert [store.url for store in two_step_output.planned_stores(str(tmp_path))] == [
        config.out,
        str(tmp_path),
    ]


def test_a_sweep_has_the_outputs_of_its_runs(tmp_path: Path) -> None:
    swept = Store(str(tmp_path / "swept"))
    with claim(swept, "out", Holding.multirun, steps=["0", "1", "10", "9"]):
        pass
    for number in ("10", "9"):
        planned(tmp_path / "swept" / number, 2)
    runs = two_step_output.planned_runs(swept.url)
    assert list(runs) == [swept.path("9"), swept.path("10")]
    assert [[store.url for store in stores] for stores in runs.values()] == [[run] for run in runs]
    planned(tmp_path / "single", 2)
    assert list(two_step_output.planned_runs(str(tmp_path / "single"))) == [str(tmp_path / "single")]
    with pytest.raises(PlanError, match="not the output of a run"):
        two_step_output.planned_runs(str(tmp_path))


def test_images_in_a_folder_named_pairs_are_no_step(tmp_path: Path) -> None:
    planned(tmp_path, 2)
    planned(tmp_path / "pairs", 2)
    assert [store.url for store in two_step_output.planned_stores(str(tmp_path))] == [str(tmp_path)]
