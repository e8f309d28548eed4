from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import misplaced


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


def test_an_error_without_a_number_names_the_file():
    assert misplaced(FileNotFoundError("bucket/key")).startswith("bucket/key does not exist")
