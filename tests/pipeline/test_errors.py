from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from botocore.exceptions import EndpointConnectionError
from s3fs import S3FileSystem

from pipeline.errors import UNFINISHED, misplaced, store_refusal
from tests.pipeline.cli.test_main import refused


@pytest.mark.parametrize(
    ("act", "named", "said"),
    [
        (lambda folder: (folder / "none").read_bytes(), "none", "does not exist"),
        (lambda folder: (folder / "file").mkdir(), "file", "exists already"),
        (lambda folder: (folder / "held").write_bytes(b""), "held", "is a folder"),
        (lambda folder: (folder / "file/x").write_bytes(b""), "file/x", "lies below a file"),
        (lambda folder: (folder / "file").replace(folder / "held"), "held", "is a folder"),
        (lambda folder: (folder / "loop").read_bytes(), "loop", "cannot be written or read"),
    ],
)
def test_what_the_system_says_is_one_line_that_names_the_file(
    tmp_path: Path, act: Callable[[Path], object], named: str, said: str
):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "held").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError) as caught:  # noqa: PT011
        act(tmp_path)
    line = misplaced(caught.value)
    assert str(tmp_path / named) in line
    assert said in line
    assert "\n" not in line


@pytest.fixture
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "/nowhere")
    S3FileSystem.clear_instance_cache()


@pytest.mark.parametrize(
    "command", [["status", "OUT"], ["report", "OUT"], ["export", "OUT", "to=set"], ["limit=1", "out=OUT"]]
)
def test_a_bucket_without_credentials_is_one_line(
    command: list[str], tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch, no_credentials: None
):
    monkeypatch.chdir(tmp_path)
    line = refused(capsys, *(word.replace("OUT", "s3://bucket/out") for word in command))
    assert "Unable to locate credentials" in line
    assert list(tmp_path.iterdir()) == []


def test_an_endpoint_that_does_not_answer_is_no_setting():
    line, code = store_refusal(EndpointConnectionError(endpoint_url="http://s3.example")) or ("", 0)
    assert "does not answer" in line
    assert "http://s3.example" in line
    assert code == UNFINISHED
    assert store_refusal(KeyError("a")) is None


@pytest.mark.parametrize(
    "command",
    [["limit=1", "out=http://host/out"], ["pairs", "captions.path=README.md", "out=https://host/out"]],
)
def test_an_output_that_cannot_be_written_to_is_refused_first(command: list[str], capsys):
    assert "cannot be written to: give a local folder" in refused(capsys, *command)


def test_an_error_without_a_number_names_the_file():
    assert misplaced(FileNotFoundError("bucket/key")).startswith("bucket/key does not exist")
