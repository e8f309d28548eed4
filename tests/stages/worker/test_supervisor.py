from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from conf.compose import compose_config, to_object
from conf.schema import ImageFormat
from stages.errors import MachineError, StageError
from stages.records import CaptionPair, Rejected, Unit, UnitResult, WrittenPair
from stages.worker.supervisor import Supervised, merge
from stages.write import encode_part
from tests.stages.worker import poison_stage

SETTINGS = (
    "sheet.pairs=3",
    "unit_pairs=5",
    "stage=tests.stages.worker.poison_stage.Poisonable",
    "cluster.unit_seconds=120",
)
CONFIG = to_object(compose_config(SETTINGS, "/nowhere/{}".format))
pytestmark = pytest.mark.timeout(280)


def packed(result: UnitResult) -> dict[str, bytes]:
    return encode_part(result, ImageFormat.png)


@pytest.fixture(scope="module")
def stage() -> Iterator[Supervised]:
    supervised = Supervised(CONFIG, "f")
    yield supervised
    supervised.close()


def unit(*captions: str) -> Unit:
    return Unit(0, tuple(CaptionPair(caption, "e", "o") for caption in captions))


@pytest.mark.parametrize(
    ("poisoned", "reason"),
    [
        (poison_stage.SEGFAULT, "SIGSEGV"),
        (poison_stage.KILLED, "memory runs out"),
        (poison_stage.MEMORY, "MemoryError"),
    ],
)
def test_a_pair_that_kills_its_process_fails_alone(stage, poisoned: str, reason: str):
    sick, well = unit("a", "b", poisoned, "c", "d"), unit("a", "b", "c", "d")
    result = stage(sick)
    (failure,) = result.failures
    assert failure.pair_id == sick.pairs[2].id
    assert reason in failure.reason
    assert "unit 0" in failure.reason
    assert packed(result)["samples"] == packed(stage(well))["samples"]
    assert result.rows == len(well.pairs)
    assert [preview.pair.input for preview in result.previews] == ["a", "b"]


def test_a_death_that_is_not_the_pairs_fault_leaves_no_trace(stage, tmp_path: Path):
    captions = unit("a", f"{poison_stage.ONCE}{tmp_path / 'mark'}", "b")
    again = stage(captions)
    assert (tmp_path / "mark").exists()
    assert packed(again) == packed(stage(captions))
    assert again.failures == ()


def test_a_unit_depends_on_failed_pairs_not_on_where_it_died(stage, tmp_path: Path):
    marks = [tmp_path / str(number) for number in range(3)]
    fragile = unit("a", *(f"{poison_stage.ONCE}{mark}" for mark in marks), poison_stage.SEGFAULT)
    often = stage(fragile)
    assert all(mark.exists() for mark in marks)
    assert packed(often) == packed(stage(fragile))
    assert [failure.pair_id for failure in often.failures] == [fragile.pairs[-1].id]


class Impatient(Supervised):
    """Has a second for a unit, and its process all the time that a busy machine takes to start it."""

    def _start(self) -> None:
        self._seconds = CONFIG.cluster.unit_seconds
        super()._start()
        self._seconds = 1.0


def test_a_pair_that_hangs_is_ended_at_its_deadline():
    hanging = Impatient(CONFIG, "f")
    (failure,) = hanging(unit(poison_stage.HANG)).failures
    hanging.close()
    # No unit is known, so the second attempt has three times as long.
    assert "more than 3 s (cluster.unit_seconds)" in failure.reason


def test_a_unit_may_take_three_times_as_long_as_the_slowest():
    slow = Impatient(CONFIG, "f")
    captions = unit(f"{poison_stage.SLEEP}2", "a")
    assert slow(captions, slowest=1.0).failures == ()
    (failure,) = Impatient(CONFIG, "f")(unit(poison_stage.HANG), slowest=0.1).failures
    slow.close()
    assert "more than 1 s (cluster.unit_seconds)" in failure.reason


def test_a_process_starts_again_after_a_fault_of_the_machine(tmp_path: Path):
    stage, mark = Supervised(CONFIG, "f"), tmp_path / "mark"
    mark.touch()
    captions = unit("a", f"{poison_stage.CUDA_WHILE}{mark}")
    with pytest.raises(MachineError, match="CUDA error"):
        stage(captions)
    mark.unlink()
    assert stage(captions).failures == ()
    stage.close()


def test_a_stage_that_cannot_be_set_up_says_why():
    with pytest.raises(StageError, match="/no/model is not there"):
        Supervised(CONFIG, "no models")


def test_the_process_imports_from_the_path_of_its_starter(tmp_path: Path, monkeypatch):
    (tmp_path / "stage_elsewhere.py").write_text("from tests.stages.worker.poison_stage import Poisonable\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    supervised = Supervised(replace(CONFIG, stage="stage_elsewhere.Poisonable"), "f")
    assert supervised(unit("a")).failures == ()
    supervised.close()


def test_the_process_ends_with_whoever_started_it():
    script = (
        "from tests.stages.worker.test_supervisor import CONFIG, Supervised\n"
        "import os\ns = Supervised(CONFIG, 'f')\nprint(s._process.pid, flush=True)\nos._exit(9)"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, stdout=subprocess.PIPE, text=True, check=False
    )
    orphan, deadline = int(done.stdout), time.monotonic() + 60
    while psutil.pid_exists(orphan) and psutil.Process(orphan).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_merged_pieces_keep_rejected_images_and_answers() -> None:
    image = np.zeros((2, 2, 3), np.uint8)
    units = [Unit(0, (pair,)) for pair in (CaptionPair("a", "", ""), CaptionPair("b", "", ""))]
    pieces = [
        UnitResult(
            unit,
            samples=(),
            candidates=(),
            failures=(),
            previews=(),
            rows=1,
            seconds={},
            rejected=(Rejected(unit.pairs[0].id, image, {0: image}),),
            answers=(WrittenPair(unit.pairs[0].id, 0, 1, "a", "b", "c", True, "", "", "{}"),),
        )
        for unit in units
    ]
    whole = merge(Unit(0, tuple(pair for unit in units for pair in unit.pairs)), pieces, set())
    assert whole.rejected == tuple(one for piece in pieces for one in piece.rejected)
    assert whole.answers == tuple(one for piece in pieces for one in piece.answers)
