from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from pipeline.cli.main import main
from stages.storage import heartbeat
from tests.docs.snippets import ROOT
from tests.pipeline.outputs import commit, planned


def status(capsys: pytest.CaptureFixture[str], out: Path) -> str:
    assert main(["status", str(out)]) == 0
    return capsys.readouterr().out


def test_a_live_run_shows_what_is_done_in_flight_kept_and_left(tmp_path: Path, capsys):
    store, _ = planned(tmp_path, 4)
    commit(store, [1, 2])
    heartbeat.note_unit(store, 1)
    heartbeat.note_unit(store, 2)
    with heartbeat.keep_heartbeat(store, lambda: 0.5):
        said = status(capsys, tmp_path)
    assert "running on" in said
    assert "2 of 4 done (50%)" in said
    assert "3 samples of 2 pairs" in said
    assert "0.50 pairs/s now" in said
    assert "time left  0:04" in said
    assert "in flight  unit 2 on" in said
    assert "unit 1" not in said


def test_a_run_that_was_stopped_says_so(tmp_path: Path, capsys):
    store, _ = planned(tmp_path, 2)
    commit(store, [1])

    def stopped() -> None:
        with heartbeat.keep_heartbeat(store, float):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    said = status(capsys, tmp_path)
    assert "stopped 0:00 ago" in said
    assert "the same command goes on" in said


def test_a_silent_driver_counts_as_killed(tmp_path: Path, capsys):
    store, _ = planned(tmp_path, 3)
    commit(store, [1])
    heartbeat.note_unit(store, 2)
    with heartbeat.keep_heartbeat(store, float):
        pass
    (one,) = heartbeat.read_heartbeats(store)
    silent = replace(one, state="running", seen=time.time() - heartbeat.SECONDS_UNTIL_DEAD - 10)
    store.write(store.list(heartbeat.FOLDER)[0], json.dumps(asdict(silent)).encode())
    said = status(capsys, tmp_path)
    assert "killed 1:10 ago" in said
    assert "interrupted unit 2" in said


def test_a_driver_that_is_gone_counts_as_killed_at_once(tmp_path: Path, capsys):
    store, _ = planned(tmp_path, 2)
    commit(store, [1])
    code = (
        "import os, signal; from stages.storage.heartbeat import keep_heartbeat; "
        f"from stages.storage.store import Store\nwith keep_heartbeat(Store({str(tmp_path)!r}), float): "
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT).returncode == -signal.SIGKILL
    assert "killed 0:0" in status(capsys, tmp_path)
    (driver,) = heartbeat.read_heartbeats(store)
    # The same number may be a later process's.
    later = replace(driver, pid=os.getpid(), started=driver.started - 10_000)
    # Another machine's processes cannot be seen.
    for elsewhere in (replace(driver, host="elsewhere"), replace(driver, processes="pid:[1]")):
        assert elsewhere.is_alive(driver.seen)
    assert not later.is_alive(driver.seen)


def test_a_finished_run_is_complete_with_its_failures(tmp_path: Path, capsys):
    store, _ = planned(tmp_path, 2)
    commit(store, [1, 0], failed=1)
    said = status(capsys, tmp_path)
    assert "complete" in said
    assert "2 failed" in said


def test_what_is_no_output_is_named(tmp_path: Path, capsys):
    assert main(["status", str(tmp_path)]) == 2
    assert str(tmp_path) in capsys.readouterr().err
