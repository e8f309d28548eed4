from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from stages.storage import file_lock
from stages.storage.store import Store

ROOT = Path(__file__).parents[3]
WRITER = """
import sys
from stages.storage.store import Store
with Store(sys.argv[1]).open_write("data/a") as stream:
    stream.write(b"half")
    stream.flush()
    print("here", flush=True)
    sys.stdin.read()
"""


def writer(folder: Path) -> subprocess.Popen[bytes]:
    """A process in the middle of writing data/a."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"here\n"
    return process


def test_files_of_a_living_writer_stay_others_are_removed(tmp_path: Path):
    living, killed = writer(tmp_path), writer(tmp_path)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert len(os.listdir(tmp_path / "data")) == 2
    Store(str(tmp_path)).sweep_scratch("data")
    assert len(os.listdir(tmp_path / "data")) == 1
    living.communicate(b"", timeout=60)
    assert [(path.name, path.read_bytes()) for path in (tmp_path / "data").iterdir()] == [("a", b"half")]


def test_a_file_that_was_swept_before_it_was_held_is_told(tmp_path: Path):
    path = tmp_path / "scratch"
    with path.open("xb") as stream:
        file_lock.sweep(path)
        assert not file_lock.hold(stream, path)
    with path.open("xb") as stream:
        assert file_lock.hold(stream, path)
        file_lock.sweep(path)
        assert path.exists()
