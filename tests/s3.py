"""A real S3 server for tests: moto's, in a thread of its own."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import boto3
import moto.moto_server.threaded_moto_server as moto_server
import s3fs

BUCKET = "bucket"
SECRET = "moto-secret-9f27c1"


class _WholeWrites(moto_server.DomainDispatcherApplication):
    """A write looks for the key and puts it as one step, as S3's own do: moto's are two, with a gap between them."""

    _writing = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] not in ("PUT", "POST"):
            return super().__call__(environ, start_response)
        with self._writing:
            return list(super().__call__(environ, start_response))


@contextmanager
def served() -> Iterator[str]:
    """``s3://bucket`` of an empty server, which this process and its children reach by their environment."""
    with mock.patch.object(moto_server, "DomainDispatcherApplication", _WholeWrites):
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
