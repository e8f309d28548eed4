"""A server of OpenAI's protocol that others wrote: transformers' own, with the mini world's language model."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import miniworld

SECONDS = 120
MODEL = str(miniworld.WRITER)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def transformers_server(port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Until the block ends, ``transformers serve`` on ``port``; ready when it begins."""
    command = ["serve", "--host", "127.0.0.1", "--port", str(port), "--device", "cpu", MODEL]
    process = subprocess.Popen(
        [sys.executable, "-c", "from transformers.cli.transformers import main; main()", *command],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + SECONDS
        while not _is_ready(port):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)
        yield process
    finally:
        process.kill()
        process.wait()


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
