"""The Slurm script, with stand-ins for Slurm's commands and everything else real: Ray on two nodes, and the run."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.fire import fire

HERE = Path(__file__).parent
SCRIPT = fire.ROOT / "deploy" / "slurm.sbatch"
SECONDS = 300


class Job:
    """A folder as a job's, with the settings of a short run of the mini world."""

    def __init__(self, folder: Path, ray: Path) -> None:
        self.folder, self.out = folder, folder / "out"
        tools = folder / "bin"
        tools.mkdir()
        commands = {"python3": "", "pairforge": "-m pipeline.cli.main", "ray": "-m ray.scripts.scripts"}
        for name, arguments in commands.items():
            (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
            (tools / name).chmod(0o755)
        self.environment = {
            **fire.environment(),
            "PATH": os.pathsep.join([str(tools), str(HERE), os.environ["PATH"]]),
            "RAY_TMPDIR": str(ray),
            "SLURM_JOB_ID": str(os.getpid()),
            "SLURM_JOB_NUM_NODES": "2",
            "SLURM_CPUS_PER_TASK": "2",
        }

    def start(self, *settings: str) -> subprocess.Popen[bytes]:
        with (self.folder / "said").open("ab") as said:
            return subprocess.Popen(
                ["bash", str(SCRIPT), f"out={self.out}", *settings],
                cwd=self.folder,
                env=self.environment,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )

    def said(self) -> str:
        logs = [self.folder / "said", *self.folder.glob("*.ray.log")]
        return "\n".join(log.read_text()[-3000:] for log in logs)

    def commits(self) -> list[Path]:
        return sorted((self.out / "run/commits").glob("*.json"))


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    # Ray's sockets lie in it, whose paths may not be long.
    ray = Path(tempfile.mkdtemp(prefix="ray"))
    yield Job(tmp_path, ray)
    shutil.rmtree(ray, ignore_errors=True)


def wait(job: Job, process: subprocess.Popen[bytes], until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not until():
        assert time.monotonic() < deadline, job.said()
        time.sleep(0.2)


def finish(job: Job, process: subprocess.Popen[bytes]) -> int:
    """The script's exit code; all that it started has to be gone with it."""
    family = [*psutil.Process(process.pid).children(recursive=True)] if process.poll() is None else []
    try:
        return process.wait(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise AssertionError(job.said()) from None
    finally:
        _, left = psutil.wait_procs(family, timeout=30)
        fire.end(left)


def test_bash_and_shellcheck_have_nothing_against_it():
    subprocess.run(["bash", "-n", SCRIPT], check=True)
    subprocess.run([Path(sys.executable).parent / "shellcheck", "--severity=warning", SCRIPT], check=True)


def test_it_is_queued_again_by_slurm_and_is_no_array():
    options = [line.split()[1] for line in SCRIPT.read_text().splitlines() if line.startswith("#SBATCH ")]
    assert {"--requeue", "--open-mode=append", "--signal=B:USR1@180"} <= set(options)
    # Whole machines: Slurm's default is a share of the memory for each CPU.
    assert {"--exclusive", "--mem=0"} <= set(options)
    assert not any(option.startswith("--array") for option in options)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_stopped_job_on_two_nodes_continues_where_it_ended(job: Job):
    settings = ("limit=12", "sweep.seeds=1", "sweep.taus=[0.5]", "sampler.steps=8", "cluster.workers=2")
    process = job.start(*settings)
    wait(job, process, lambda: len(job.commits()) >= 2 or process.poll() is not None)
    process.send_signal(signal.SIGUSR1)
    assert finish(job, process) == 0, job.said()
    done = len(job.commits())
    assert 2 <= done < 12, job.said()
    assert (job.folder / "scontrol.log").read_text() == f"requeue {os.getpid()}\n"
    assert "pairforge: stopped; what is committed stays" in job.said()

    kept = [path.read_bytes() for path in job.commits()]
    process = job.start(*settings)
    assert finish(job, process) == 0, job.said()
    assert all(data in {path.read_bytes() for path in job.commits()} for data in kept)
    assert len(job.commits()) == 12
    assert list((job.out / "data").glob("train-*.tar"))
