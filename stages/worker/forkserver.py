"""Forks processes from one that has imported a stage's libraries, so that each starts without importing them.

Measured on two cores that other work also used: the demo's first kept sample came after 50 and 67 s, and without the
fork server after 67, 74 and 92 s. multiprocessing's fork server serves one parent only, and each worker is a process of
Ray's.
"""

from __future__ import annotations

import json
import os
import selectors
import shutil
import signal
import socket
import struct
import sys
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from stages.worker import process

# Most of a request is the environment.
REQUEST_BYTES = 1 << 20
# The link to the supervisor, standard output, standard error.
DESCRIPTORS = 3
# Message format: a process's ID after its start, and its status after its end.
NUMBER = struct.Struct("!i")


@dataclass(frozen=True)
class Forked:
    """A forked process, a descriptor that is readable once it has ended, and the connection of its requester."""

    pid: int
    ended: int
    connection: socket.socket


def main(link: Connection, listener: socket.socket) -> None:
    """Imports what the stage that ``link`` names needs, then forks for every request until ``link`` closes.

    Each connection receives its process's ID, and its status when it has ended. Closing the connection earlier
    kills the process. With CUDA, the fork server ends at once: CUDA does not survive fork(), and the test for it may
    already start it.
    """
    name, config = link.recv()
    process.hide_unused()
    stage = process.load_stage(name)
    if hasattr(stage, "prepare"):
        stage.prepare(config)
    if "torch" in sys.modules and sys.modules["torch"].cuda.is_available():
        return
    with selectors.DefaultSelector() as waiting:
        waiting.register(listener, selectors.EVENT_READ)
        waiting.register(link, selectors.EVENT_READ)
        while True:
            for key, _ in waiting.select():
                if key.fileobj is link:
                    # The command may have been killed before it could remove the folder.
                    shutil.rmtree(Path(listener.getsockname()).parent, ignore_errors=True)
                    return
                if key.fileobj is listener:
                    _fork(waiting, listener.accept()[0])
                elif key.fd == key.data.ended:
                    _report_end(waiting, key.data)
                elif key.fileobj in waiting.get_map():
                    waiting.unregister(key.fileobj)
                    os.kill(key.data.pid, signal.SIGKILL)


def _fork(waiting: selectors.BaseSelector, connection: socket.socket) -> None:
    """Answers one request. The new process serves, and exits."""
    request, descriptors, _, _ = socket.recv_fds(connection, REQUEST_BYTES, DESCRIPTORS)
    if len(descriptors) < DESCRIPTORS:
        connection.close()
        return
    pid = os.fork()
    if not pid:
        inherited: list[Any] = [key.fileobj for key in waiting.get_map().values()]
        for file in inherited:
            os.close(file) if isinstance(file, int) else file.close()
        connection.close()
        _serve(json.loads(request), *descriptors)
        raise SystemExit
    forked = Forked(pid, os.pidfd_open(pid), connection)
    waiting.register(forked.ended, selectors.EVENT_READ, forked)
    waiting.register(connection, selectors.EVENT_READ, forked)
    for descriptor in descriptors:
        os.close(descriptor)
    _send(connection, pid)


def _serve(surroundings: dict[str, Any], link: int, out: int, err: int) -> None:
    """Serves with the surroundings of the requester, as if it had started this process."""
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.close(out)
    os.close(err)
    # Ray's workers are niced: a process that is not would take their CPU time.
    os.setpriority(os.PRIO_PROCESS, 0, max(surroundings["niceness"], os.getpriority(os.PRIO_PROCESS, 0)))
    os.chdir(surroundings["folder"])
    os.environ.clear()
    os.environ.update(surroundings["environment"])
    sys.path[:] = surroundings["path"]
    process.serve(link)


def _report_end(waiting: selectors.BaseSelector, forked: Forked) -> None:
    waiting.unregister(forked.ended)
    os.close(forked.ended)
    _, status = os.waitpid(forked.pid, 0)
    if forked.connection in waiting.get_map():
        waiting.unregister(forked.connection)
        _send(forked.connection, status)
    forked.connection.close()


def _send(connection: socket.socket, number: int) -> None:
    # If the requester has died, its process is killed when the selector reports the closed connection.
    with suppress(OSError):
        connection.sendall(NUMBER.pack(number))


if __name__ == "__main__":
    main(Connection(int(sys.argv[1])), socket.socket(fileno=int(sys.argv[2])))
