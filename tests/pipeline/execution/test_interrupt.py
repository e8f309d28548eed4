from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conf.running import Cluster, ClusterKind
from pipeline.errors import RunError
from pipeline.execution import interrupt

ROOT = Path(__file__).parents[3]
HANGS = """
import sys, time
from pipeline.execution import interrupt
interrupt.GRACE, interrupt.LEAVE, interrupt.SECONDS_BETWEEN_CHECKS = 0.2, 1.0, 0.1
with interrupt.interruptible(lambda: sys.argv[1], sys.stderr):
    print("here", flush=True)
    while True:
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            pass
"""
# What is interrupted would last so long, in seconds: on a busy machine even what comes at once takes a while.
LONG = 60.0


def cluster(**changes: float) -> Cluster:
    return Cluster(kind=ClusterKind.local, **changes)


def test_a_run_s_time_ends():
    now = [0.0]
    over = interrupt.deadline(0.5, lambda: now[0])
    reason = interrupt.end_reason(cluster(hours=0.5), over, lambda: True, lambda: now[0])
    now[0] = 1799.0
    assert reason() == ""
    interrupt.check_deadline(over)
    now[0] = 1801.0
    assert "cluster.hours=0.5" in reason()
    with pytest.raises(RunError, match=r"cluster\.hours=0\.5.*the same command goes on"):
        interrupt.check_deadline(over)
    now[0] = 1e9
    never = interrupt.deadline(None, lambda: now[0])
    assert interrupt.end_reason(cluster(), never, lambda: True, lambda: now[0])() == ""


def test_a_cluster_may_lack_room_for_a_limited_time():
    now, room = [0.0], [True]
    reason = interrupt.end_reason(cluster(wait_seconds=60), lambda: "", lambda: room[0], lambda: now[0])
    for at, there, ends in (
        (50, False, ""),
        (70, False, "cluster.wait_seconds"),
        (80, True, ""),
        (130, False, ""),
    ):
        now[0], room[0] = at, there
        assert ends in reason()
        assert bool(reason()) == bool(ends)


def test_a_reason_interrupts_what_waits(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(interrupt, "SECONDS_BETWEEN_CHECKS", 0.05)
    monkeypatch.setattr(interrupt, "LEAVE", 250.0)
    began = time.monotonic()
    before = signal.getsignal(signal.SIGINT)
    with (
        pytest.raises(RunError, match="no more room; what is committed stays"),
        interrupt.interruptible(lambda: "no more room", io.StringIO()),
    ):
        time.sleep(LONG)
    assert time.monotonic() - began < LONG
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_waits_for_writes_and_a_second_one_does_not(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(interrupt, "LEAVE", 250.0)
    for times, grace, least in ((1, 0.5, 0.5), (2, LONG, 0.0)):
        monkeypatch.setattr(interrupt, "GRACE", grace)
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt), interrupt.interruptible(lambda: "", io.StringIO()):
            _interrupted_sleep(times)
        assert least <= time.monotonic() - began < LONG


def _interrupted_sleep(times: int) -> None:
    for _ in range(times):
        os.kill(os.getpid(), signal.SIGINT)
    time.sleep(LONG)


@pytest.mark.parametrize(("reason", "code", "said"), [("", 130, "stopped"), ("no room", 1, "no room")])
def test_what_does_not_end_is_left_with_its_process(reason: str, code: int, said: str):
    process = subprocess.Popen(
        [sys.executable, "-c", HANGS, reason],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    if not reason:
        process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == code
    assert stderr.startswith("pairforge: ")
    assert said in stderr
    assert "the same command goes on" in stderr
