"""A run under fire: the real command, killed and started again until it ends, and what it must have left then."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from conf.schema import Config
from pipeline.config import resolve
from stages.records import CaptionPair
from tests import runs
from tests.stages.worker.poison_stage import Poisonable

ROOT = Path(__file__).parents[2]
FAKE = (
    "stage=tests.stages.worker.poison_stage.Poisonable",
    "unit_pairs=2",
    "shards.samples=7",
    "sheet.pairs=2",
)


class Fire:
    """A folder with caption pairs, a command on them, and the tokens of ``tests/fire/site/sitecustomize.py``."""

    def __init__(self, folder: Path, pairs: Sequence[CaptionPair], *more: str, url: str = "") -> None:
        """``url``, if given, is the output in the place of ``self.out``."""
        self.folder, self.out, self.tokens = folder, folder / "out", folder / "fire"
        self.tokens.mkdir(parents=True)
        path = runs.write_pairs(folder / "pairs.jsonl", pairs)
        self.settings = ["captions=jsonl", f"captions.path={path}", *more]
        self.url = url
        self.kills = 0
        self.codes: list[int] = []

    def arm(self, *tokens: str) -> None:
        for token in tokens:
            (self.tokens / token).touch()

    def fired(self) -> int:
        """How many tokens have killed somebody."""
        return len(list(self.tokens.glob("fired *")))

    def start(self, *more: str) -> subprocess.Popen[bytes]:
        """The command, in a process group of its own, as a shell starts it."""
        with (self.folder / "said").open("ab") as said:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "pipeline.cli.main",
                    *self.settings,
                    f"out={self.url or self.out}",
                    *more,
                ],
                cwd=self.folder,
                env=environment(self.tokens),
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        (self.tokens / "driver").write_text(str(process.pid))
        return process

    def run(
        self, seconds: float, attack: Callable[[psutil.Process], None] | None = None, every: float = 1.0
    ) -> int:
        """The command to its end, ``attack`` called on its driver from time to time; its exit code.

        What Ray leaves of a killed driver is ended, too. Raises TimeoutError, saying what it had said.
        """
        process = self.start()
        driver, family = psutil.Process(process.pid), list[psutil.Process]()
        deadline = time.monotonic() + seconds
        try:
            while process.poll() is None:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"after {seconds:g} s: {self.said()}")
                family = descendants(driver) or family
                if attack is not None:
                    attack(driver)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=every)
        finally:
            end([driver, *family])
        self.codes.append(process.wait())
        return self.codes[-1]

    def until_done(self, seconds: float, runs_at_most: int) -> None:
        """The same command again until it ends well."""
        for _ in range(runs_at_most):
            if self.run(seconds) == 0:
                return
        raise AssertionError(f"exit codes {self.codes}: {self.said()}")

    def said(self) -> str:
        return (self.folder / "said").read_text()[-4000:]

    def kept(self) -> list[str]:
        """The keys of all samples, in the order of the shards."""
        keys: list[str] = []
        for shard in sorted((self.out / "data").iterdir()):
            with tarfile.open(shard) as tar:
                keys += dict.fromkeys(name.partition(".")[0] for name in tar.getnames())
        return keys


def environment(tokens: Path | None = None) -> dict[str, str]:
    """That of a run under fire: Ray's workers do not give way to others, and every process knows its tokens."""
    path = [str(ROOT)] if tokens is None else [str(Path(__file__).parent / "site"), str(ROOT)]
    own = {"PYTHONPATH": os.pathsep.join(path), "OMP_NUM_THREADS": "1", "RAY_worker_niceness": "0"}
    return {**os.environ, **own, **({} if tokens is None else {"PAIRFORGE_FIRE": str(tokens)})}


def digests(out: Path) -> dict[str, str]:
    """The SHA-256 of every file of the dataset, hidden ones among them."""
    files = [path for folder in ("data", "scores") for path in sorted((out / folder).iterdir())]
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def undisturbed(config: Config) -> Path:
    """The output that the stages make one after the other in this process: no Ray, no other process, no kill."""
    runs.packed(config, Poisonable)
    return Path(config.out)


def checked(*more: str) -> Config:
    return resolve.checked(resolve.compose(more))


def pairs(count: int) -> list[CaptionPair]:
    return [CaptionPair(f"a red ball {number}", "make it blue", "a blue ball") for number in range(count)]


def workers(driver: psutil.Process) -> list[psutil.Process]:
    """The processes below ``driver`` that generate or write: Ray's workers, and the stages apart."""
    return [process for process in descendants(driver) if _works(process)]


def descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def kill(process: psutil.Process) -> bool:
    """SIGKILL; whether it was there."""
    try:
        process.send_signal(signal.SIGKILL)
    except psutil.NoSuchProcess:
        return False
    return True


def end(processes: Sequence[psutil.Process], seconds: float = 3.0) -> None:
    """Let them end by themselves, then kill what is left."""
    _, left = psutil.wait_procs(processes, timeout=seconds)
    for process in left:
        kill(process)


def commits(out: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted((out / "run/commits").glob("*.json"))]


def _works(process: psutil.Process) -> bool:
    try:
        line = process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return False
    return bool(line) and (line[0].startswith(("ray::Map", "ray::IDLE")) or "stages.worker.process" in line)


def interrupt(process: subprocess.Popen[bytes]) -> None:
    """Ctrl-C, as a terminal sends it: to every process of the group."""
    os.killpg(process.pid, signal.SIGINT)
