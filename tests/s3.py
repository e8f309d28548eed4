"""A real S3 server for tests: moto's, in a thread of its own."""

from __future__ import annotations

import functools
import os
import random
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import boto3
import moto.moto_server.threaded_moto_server as moto_server
import s3fs

BUCKET = "bucket"
SECRET = "moto-secret-9f27c1"


@dataclass
class Faults:
    """A server errs at ``share`` of its calls, at random; ``count`` of them until now."""

    share: float = 0.0
    seed: int = 0
    count: int = 0

    def __post_init__(self) -> None:
        self._draw = random.Random(self.seed)

    def due(self) -> bool:
        due = self._draw.random() < self.share
        self.count += due
        return due


class _WholeWrites(moto_server.DomainDispatcherApplication):
    """A write looks for the key and puts it as one step, as S3's own do: moto's are two, with a gap between them."""

    _writing = threading.Lock()

    def __init__(self, faults: Faults, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._faults = faults

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if self._faults.due():
            start_response("500 Internal Server Error", [("Content-Length", "0")])
            return []
        if environ["REQUEST_METHOD"] not in ("PUT", "POST"):
            return super().__call__(environ, start_response)
        with self._writing:
            return list(super().__call__(environ, start_response))


@contextmanager
def served(faults: Faults | None = None) -> Iterator[str]:
    """``s3://bucket`` of an empty server, which this process and its children reach by their environment."""
    application = functools.partial(_WholeWrites, faults or Faults())
    with mock.patch.object(moto_server, "DomainDispatcherApplication", application):
        server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
    host, port = server.get_host_and_port()
    given = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "moto-key",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    # File systems are remembered by their arguments, and the endpoint is none.
    s3fs.S3FileSystem.clear_instance_cache()
    try:
        boto3.client("s3").create_bucket(Bucket=BUCKET)
        yield f"s3://{BUCKET}"
    finally:
        server.stop()
        s3fs.S3FileSystem.clear_instance_cache()
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
