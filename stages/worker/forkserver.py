"""Processes forked of one that has imported a stage's libraries: the seconds of every start, spent once."""

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

from stages.worker import load_stage, process

# An environment is the most of it.
REQUEST_BYTES = 1 << 20
# The link to the stage's face, standard output, standard error.
DESCRIPTORS = 3
# A process's number, and then the status that it ended with, as they travel.
NUMBER = struct.Struct("!i")


@dataclass(frozen=True)
class Forked:
    """A process, a descriptor that can be read once it has ended, and the connection of whoever asked for it."""

    number: int
    ended: int
    connection: socket.socket


def main(link: Connection, listener: socket.socket) -> None:
    """Import what the stage that ``link`` names needs, then fork for whoever asks until ``link`` closes.

    A connection is told its process's number, and its status when it has ended; who closes it first wants it killed.
    Where CUDA is, nobody is served: it does not outlive a fork, and asking for it may be enough to have begun.
    """
    name, config = link.recv()
    process.hide_unused()
    stage = load_stage.find(name)
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
                    # Whoever started this may have been killed.
                    shutil.rmtree(Path(listener.getsockname()).parent, ignore_errors=True)
                    return
                if key.fileobj is listener:
                    _fork(waiting, listener.accept()[0])
                elif key.fd == key.data.ended:
                    _bury(waiting, key.data)
                elif key.fileobj in waiting.get_map():
                    waiting.unregister(key.fileobj)
                    os.kill(key.data.number, signal.SIGKILL)


def _fork(waiting: selectors.BaseSelector, connection: socket.socket) -> None:
    """Answer one request. In the new process: serve, and exit."""
    request, descriptors, _, _ = socket.recv_fds(connection, REQUEST_BYTES, DESCRIPTORS)
    if len(descriptors) < DESCRIPTORS:
        connection.close()
        return
    number = os.fork()
    if not number:
        held: list[Any] = [key.fileobj for key in waiting.get_map().values()]
        for one in held:
            os.close(one) if isinstance(one, int) else one.close()
        connection.close()
        _serve(json.loads(request), *descriptors)
        raise SystemExit
    forked = Forked(number, os.pidfd_open(number), connection)
    waiting.register(forked.ended, selectors.EVENT_READ, forked)
    waiting.register(connection, selectors.EVENT_READ, forked)
    for descriptor in descriptors:
        os.close(descriptor)
    _tell(connection, number)


def _serve(surroundings: dict[str, Any], link: int, out: int, err: int) -> None:
    """Be what a process would be that whoever asked had started."""
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.close(out)
    os.close(err)
    # Ray's workers are niced: a process that is not would take their turns.
    os.setpriority(os.PRIO_PROCESS, 0, max(surroundings["niceness"], os.getpriority(os.PRIO_PROCESS, 0)))
    os.chdir(surroundings["folder"])
    os.environ.clear()
    os.environ.update(surroundings["environment"])
    sys.path[:] = surroundings["path"]
    process.serve(link)


def _bury(waiting: selectors.BaseSelector, forked: Forked) -> None:
    waiting.unregister(forked.ended)
    os.close(forked.ended)
    _, status = os.waitpid(forked.number, 0)
    if forked.connection in waiting.get_map():
        waiting.unregister(forked.connection)
        _tell(forked.connection, status)
    forked.connection.close()


def _tell(connection: socket.socket, number: int) -> None:
    # Who is gone need not be told, and its process is killed when its connection is looked at.
    with suppress(OSError):
        connection.sendall(NUMBER.pack(number))


if __name__ == "__main__":
    main(Connection(int(sys.argv[1])), socket.socket(fileno=int(sys.argv[2])))
