"""Starting the process in which a stage runs: forked where a fork server listens, else from the beginning."""

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

from conf.either import Settings
from conf.running import ClusterKind
from stages.worker.forkserver import NUMBER

# Where workers of this machine find the fork server's socket.
ADDRESS = "PAIRFORGE_FORKSERVER"
BACKLOG = 64
# Seconds until a process that is asked for is there: the fork server may be importing.
PATIENCE = 120.0
Started = TypeVar("Started")


class Process(Protocol):
    """What is asked of a process, with subprocess's meanings."""

    pid: int

    def kill(self) -> None: ...

    def wait(self) -> int: ...


class Forked:
    """A process of the fork server's, which alone is told how it ends."""

    def __init__(self, connection: socket.socket) -> None:
        """Wait for it. Raises OSError where no process comes."""
        self._connection = connection
        self._code: int | None = None
        connection.settimeout(PATIENCE)
        self.pid = self._number()
        connection.settimeout(None)

    def kill(self) -> None:
        """End it: the fork server does, to whom it belongs."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)

    def wait(self) -> int:
        """As of subprocess. The processes of a fork server that is gone are killed."""
        if self._code is None:
            try:
                self._code = os.waitstatus_to_exitcode(self._number())
            except OSError:
                self._code = -signal.SIGKILL
            self._connection.close()
        return self._code

    def _number(self) -> int:
        answer = self._connection.recv(NUMBER.size, socket.MSG_WAITALL)
        if len(answer) < NUMBER.size:
            raise ConnectionResetError("the fork server is gone")
        return int(NUMBER.unpack(answer)[0])


def start(descriptor: int) -> Process:
    """A process that runs ``stages.worker.process.serve`` on ``descriptor``."""
    address = os.environ.get(ADDRESS)
    if address:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            connection.connect(address)
            socket.send_fds(connection, [_surroundings()], [descriptor, 1, 2])
            return Forked(connection)
        except OSError:
            # It has ended, or never served: there is the other way.
            connection.close()
    return run("stages.worker.process", descriptor)


def run(module: str, *descriptors: int, session: bool = False) -> subprocess.Popen[bytes]:
    """``python -m module`` with the descriptors as its arguments and this process's imports; in a ``session`` of its
    own, Ctrl-C in the terminal passes it by."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *map(str, descriptors)],
        pass_fds=descriptors,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        start_new_session=session,
    )


def linked(begin: Callable[[int], Started]) -> tuple[Started, Connection]:
    """What ``begin`` starts on a descriptor, and the link to it."""
    own, other = socket.socketpair()
    with own, other:
        started = begin(other.fileno())
        return started, Connection(own.detach())


def _surroundings() -> bytes:
    surroundings = {
        "folder": os.getcwd(),
        "environment": dict(os.environ),
        "path": sys.path,
        "niceness": os.getpriority(os.PRIO_PROCESS, 0),
    }
    return json.dumps(surroundings).encode()


def _serve(listener: int, descriptor: int) -> subprocess.Popen[bytes]:
    # Ctrl-C is for the command, which ends this one when it has finished.
    return run("stages.worker.forkserver", descriptor, listener, session=True)


@contextmanager
def forkserver(config: Settings) -> Iterator[None]:
    """While it lasts, the processes of ``config``'s stage that start on this machine are forked where they can be.

    Within another one it is that one.
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
            # It may be importing still.
            server.kill()
            server.wait()
