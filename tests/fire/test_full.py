"""A disk that is full, on a real one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fire import fire
from tests.fire.fire import Fire

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """One of 12 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("no file system may be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_ends_the_run_and_new_room_completes_it(tmp_path: Path, disk: Path) -> None:
    run = Fire(tmp_path / "run", fire.pairs(48), *fire.FAKE, "cluster.workers=1")
    expected = fire.undisturbed(fire.checked(*run.settings, f"out={tmp_path / 'expected'}"))
    run.out = disk / "out"
    filler = disk / "filler"
    filler.write_bytes(b"x" * (12 * 2**20 - 160 * 2**10))
    assert run.run(280) == 1, run.said()
    last = run.said().splitlines()[-1]
    assert last.startswith("pairforge: ")
    assert "No space left on device" in last
    assert "make room" in last
    assert str(run.out) in last
    done = len(fire.commits(run.out))
    assert done < 24
    report = subprocess.run(
        [sys.executable, "-m", "pipeline.cli.main", "report", str(run.out)], capture_output=True, text=True
    )
    assert report.returncode == 1
    assert len(report.stderr.splitlines()) == 1
    assert f"the output {run.out}" in report.stderr
    filler.unlink()
    assert run.run(280) == 0, run.said()
    assert run.kept() == [f"{pair.id}-000" for pair in fire.pairs(48)]
    assert fire.digests(run.out) == fire.digests(expected)
