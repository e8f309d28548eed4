"""Starts the process of a stage: forked by the fork server if there is one, else from the beginning."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol, TypeVar

from conf.pairs import Settings
from conf.running import ClusterKind
from stages.worker.forkserver import NUMBER

# Environment variable with the path of the fork server's socket, for the workers of this machine.
ADDRESS = "PAIRFORGE_FORKSERVER"
BACKLOG = 64
# Seconds to wait for a process: the fork server may still be importing.
START_SECONDS = 120.0
Started = TypeVar("Started")


class Process(Protocol):
    """A process with the methods of ``subprocess.Popen`` that are used."""

    pid: int

    def kill(self) -> None: ...

    def wait(self) -> int: ...


class Forked:
    """A child of the fork server, which reports the status that it ends with."""

    def __init__(self, connection: socket.socket) -> None:
        """Waits for the process to start. Raises OSError if it does not."""
        self._connection = connection
        self._code: int | None = None
        connection.settimeout(START_SECONDS)
        self.pid = self._receive()
        connection.settimeout(None)

    def kill(self) -> None:
        """Makes the fork server, its parent, kill the process."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)

    def wait(self) -> int:
        """Returns the exit code, as subprocess does: that of SIGKILL if the fork server itself has died."""
        if self._code is None:
            try:
                self._code = os.waitstatus_to_exitcode(self._receive())
            except OSError:
                self._code = -signal.SIGKILL
            self._connection.close()
        return self._code

    def _receive(self) -> int:
        message = self._connection.recv(NUMBER.size, socket.MSG_WAITALL)
        if len(message) < NUMBER.size:
            raise ConnectionResetError("the fork server has died")
        return int(NUMBER.unpack(message)[0])


def start(descriptor: int) -> Process:
    """Starts a process that runs ``stages.worker.process.serve`` on ``descriptor``."""
    address = os.environ.get(ADDRESS)
    if address:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            connection.connect(address)
            socket.send_fds(connection, [_surroundings()], [descriptor, 1, 2])
            return Forked(connection)
        except OSError:
            # The fork server has ended or never served: start the process from the beginning.
            connection.close()
    return run("stages.worker.process", descriptor)


def run(module: str, *descriptors: int, session: bool = False) -> subprocess.Popen[bytes]:
    """Starts ``python -m module`` with the descriptors as arguments and this process's import path.

    In a ``session`` of its own, it does not receive Ctrl-C from the terminal.
    """
    return subprocess.Popen(
        [sys.executable, "-m", module, *map(str, descriptors)],
        pass_fds=descriptors,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        start_new_session=session,
    )


def linked(begin: Callable[[int], Started]) -> tuple[Started, Connection]:
    """Returns what ``begin`` starts on a descriptor, and the link to it."""
    here, there = socket.socketpair()
    with here, there:
        started = begin(there.fileno())
        return started, Connection(here.detach())


def _surroundings() -> bytes:
    surroundings = {
        "folder": os.getcwd(),
        "environment": dict(os.environ),
        "path": sys.path,
        "niceness": os.getpriority(os.PRIO_PROCESS, 0),
    }
    return json.dumps(surroundings).encode()


def _serve(listener: int, descriptor: int) -> subprocess.Popen[bytes]:
    # Ctrl-C ends the command, which then ends the fork server.
    return run("stages.worker.forkserver", descriptor, listener, session=True)


@contextmanager
def forkserver(config: Settings) -> Iterator[None]:
    """Runs a fork server for the processes of ``config``'s stage on this machine. A nested call uses the outer one.

    Only on Linux, and not on a cluster that already runs.
    """
    if sys.platform != "linux" or config.cluster.kind is ClusterKind.ray or ADDRESS in os.environ:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="pairforge-") as folder:
        path = str(Path(folder, "forks"))
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            listener.bind(path)
            listener.listen(BACKLOG)
            server, link = linked(partial(_serve, listener.fileno()))
        os.environ[ADDRESS] = path
        try:
            link.send((config.stage, config))
            yield
        finally:
            del os.environ[ADDRESS]
            link.close()
            # Killed, because it may still be importing.
            server.kill()
            server.wait()
