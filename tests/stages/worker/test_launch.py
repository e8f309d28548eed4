"""Processes that are forked are what started ones are, and end as they do."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
import pytest

from conf.compose import compose_config, to_object
from conf.running import ClusterKind
from conf.schema import Config
from stages.worker.launch import ADDRESS, Forked, Process, forkserver, start

SETTINGS = ("stage=tests.stages.worker.environment_stage.Surroundings",)
CONFIG: Config = to_object(compose_config(SETTINGS, "/nowhere/{}".format))
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux alone")


@pytest.fixture
def server() -> Iterator[None]:
    with forkserver(CONFIG):
        yield


def opened() -> tuple[Process, Connection]:
    own, other = socket.socketpair()
    with other:
        process = start(other.fileno())
    link = Connection(own.detach())
    link.send((CONFIG.stage,))
    assert link.recv() == ""
    return process, link


def said(script: str) -> str:
    """What a process of Python's prints, however it ends."""
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, stdout=subprocess.PIPE, text=True, check=False
    )
    return done.stdout


def ends(number: int) -> bool:
    deadline = time.monotonic() + 60
    while psutil.pid_exists(number) and psutil.Process(number).status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.usefixtures("server")
def test_each_is_forked_of_one_and_its_end_is_told_to_who_asked() -> None:
    (first, link), (second, other) = opened(), opened()
    assert isinstance(first, Forked)
    (server,) = {psutil.Process(process.pid).ppid() for process in (first, second)}
    assert server != os.getpid()
    link.close()
    assert first.wait() == 0
    assert psutil.Process(second.pid).is_running()
    second.kill()
    assert second.wait() == second.wait() == -signal.SIGKILL
    other.close()


@pytest.mark.parametrize("forked", [True, False])
def test_it_has_the_surroundings_of_who_asked(server, tmp_path: Path, monkeypatch, forked: bool) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PAIRFORGE_TEST", "\udcff of who asked")
    monkeypatch.delenv("PATH")
    monkeypatch.syspath_prepend(str(tmp_path / "imports"))
    address = os.environ[ADDRESS]
    if not forked:
        monkeypatch.delenv(ADDRESS)
    process, link = opened()
    assert isinstance(process, Forked) == forked
    link.send("unit")
    folder, environment, path, niceness, without_peft = link.recv()
    assert folder == str(tmp_path)
    assert environment["PAIRFORGE_TEST"] == "\udcff of who asked"
    assert "PATH" not in environment
    assert str(tmp_path / "imports") in path
    assert niceness == os.getpriority(os.PRIO_PROCESS, 0)
    assert without_peft
    link.close()
    assert process.wait() == 0
    assert Path(address).exists()


@pytest.mark.usefixtures("server")
def test_it_is_as_nice_as_who_asked() -> None:
    script = (
        "import os\nos.nice(3)\nfrom tests.stages.worker.test_launch import opened\n"
        "process, link = opened()\nlink.send(0)\nprint(link.recv()[3])"
    )
    assert int(said(script)) == min(19, os.getpriority(os.PRIO_PROCESS, 0) + 3)


@pytest.mark.usefixtures("server")
def test_it_ends_with_who_asked_and_where_the_server_is_killed() -> None:
    script = (
        "from tests.stages.worker.test_launch import opened\n"
        "import os\nprocess, link = opened()\nprint(process.pid, flush=True)\nos.kill(os.getpid(), 9)"
    )
    assert ends(int(said(script)))
    process, link = opened()
    psutil.Process(psutil.Process(process.pid).ppid()).kill()
    assert process.wait() == -signal.SIGKILL
    assert ends(process.pid)
    link.close()
    after, link = opened()
    assert isinstance(after, subprocess.Popen)
    link.close()
    assert after.wait() == 0


def test_without_a_working_server_processes_are_started() -> None:
    with forkserver(replace(CONFIG, stage="tests.stages.no_such_module.Stage")):
        process, link = opened()
        assert isinstance(process, subprocess.Popen)
        link.close()
        assert process.wait() == 0


def test_a_server_leaves_nothing_and_serves_no_other_cluster() -> None:
    with forkserver(CONFIG):
        address = os.environ[ADDRESS]
        process, link = opened()
        server = psutil.Process(process.pid).ppid()
        with forkserver(CONFIG):
            assert os.environ[ADDRESS] == address
        assert os.environ[ADDRESS] == address
    assert not Path(address).parent.exists()
    assert ADDRESS not in os.environ
    assert not psutil.pid_exists(server)
    assert ends(process.pid)
    link.close()
    with forkserver(replace(CONFIG, cluster=replace(CONFIG.cluster, kind=ClusterKind.ray))):
        assert ADDRESS not in os.environ


def test_it_takes_its_folder_along_when_who_started_it_is_killed() -> None:
    script = (
        "import os\nfrom tests.stages.worker.test_launch import ADDRESS, CONFIG, forkserver, opened\n"
        "with forkserver(CONFIG):\n"
        "    opened()\n    print(os.environ[ADDRESS], flush=True)\n    os.kill(os.getpid(), 9)"
    )
    folder, deadline = Path(said(script).strip()).parent, time.monotonic() + 60
    assert folder.name.startswith("pairforge-")
    while folder.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
