"""Captions in, shards out, by one command on real Ray: killed in either half, resumed, extended, and at fault."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.cli.main import main
from pipeline.pairs.two_step_settings import OPTION
from stages.storage.store import Store
from tests import runs, s3
from tests.pipeline.pairs import small
from tests.stages.writers.openai_server import KEY, MODEL, Server, serving

pytestmark = [pytest.mark.timeout(900), pytest.mark.long]
SECONDS = 500


class Both:
    """A folder with captions, and the settings of a run on them: an endpoint writes, a small model renders."""

    def __init__(self, folder: Path, model: Path, clip: Path, server: Server) -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.out, self.server = folder, folder / "out", server
        self._models = runs.settings(model, clip, "shards.samples=3")
        if not (folder / "captions.jsonl").exists():
            small.write_captions(folder)

    def settings(self, *more: str) -> list[str]:
        return [
            *self._models,
            OPTION,
            f"captions.path={self.folder / 'captions.jsonl'}",
            "writer=openai",
            f"writer.model={MODEL}",
            f"writer.endpoint={self.server.url}",
            "writer.concurrency=2",
            "writer.retries=0",
            "edits=2",
            "pairs.unit_pairs=3",
            "cluster.workers=1",
            f"out={self.out}",
            *more,
        ]

    def start(self, *more: str, key: str = KEY) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "pipeline.cli.main", *self.settings(*more)],
            cwd=self.folder,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
                "OMP_NUM_THREADS": "1",
                "RAY_worker_niceness": "0",
                "OPENAI_API_KEY": key,
            },
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def run(self, *more: str, code: int = 0, key: str = KEY) -> tuple[str, str]:
        process = self.start(*more, key=key)
        stdout, stderr = process.communicate(timeout=SECONDS)
        assert process.returncode == code, stderr
        return stdout, stderr

    def kill(self, when: Callable[[], bool]) -> None:
        process = self.start()
        deadline = time.monotonic() + SECONDS
        while not when():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)

    def commits(self, half: str = "") -> list[str]:
        return sorted(path.name for path in (self.out / half / "run" / "commits").glob("*.json"))

    def made(self) -> dict[str, str]:
        names = ["pairs/pairs.jsonl", "pairs/answers/answers.parquet"]
        names += [
            f"{folder}/{path.name}" for folder in ("data", "scores") for path in (self.out / folder).iterdir()
        ]
        return {name: hashlib.sha256((self.out / name).read_bytes()).hexdigest() for name in sorted(names)}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as one:
        yield one


@pytest.fixture(scope="module")
def calm(
    tmp_path_factory: pytest.TempPathFactory, sd1_folder: Path, clip_folder: Path, server: Server
) -> Both:
    """A run that nobody disturbs, and what it says."""
    both = Both(tmp_path_factory.mktemp("calm"), sd1_folder, clip_folder, server)
    both.said = both.run()
    return both


@pytest.fixture
def other(calm: Both, tmp_path: Path, sd1_folder: Path, clip_folder: Path, server: Server) -> Iterator[Both]:
    yield Both(tmp_path / "other", sd1_folder, clip_folder, server)
    server.delay, server.answered_at_most = 0.0, None
    server.faults.clear()


def status(capsys: pytest.CaptureFixture[str], out: Path) -> str:
    assert main(["status", str(out)]) == 0
    return capsys.readouterr().out


def test_one_command_tells_of_both_halves(calm: Both, capsys: pytest.CaptureFixture[str]) -> None:
    stdout, stderr = calm.said
    assert "captions read" in stdout
    assert "caption pairs kept" in stdout
    assert "samples kept" in stdout
    assert "warning" not in stderr.lower()
    told = status(capsys, calm.out)
    assert f"{calm.out}/pairs: complete" in told
    assert f"{calm.out}: complete" in told
    assert "caption pairs of" in told
    assert "samples of" in told
    pairs = [json.loads(line) for line in (calm.out / "pairs/pairs.jsonl").read_text().splitlines()]
    assert len(pairs) >= 8
    assert all(pair["url"].startswith("http://x/") for pair in pairs)
    assert main(["verify", str(calm.out)]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert f"{len(pairs)} caption pairs" in first
    assert "shards" in second
    page = (calm.out / "report/index.html").read_text()
    assert "captions read" in page
    assert "../pairs/report/index.html" in page
    assert "`pairs/`" in (calm.out / "README.md").read_text()


def test_a_finished_run_tells_programs_of_both_halves(calm: Both) -> None:
    stdout, _ = calm.run("--json")
    answer = json.loads(stdout)
    assert answer["written"]["samples"] == answer["read"]
    assert answer["samples"] > 0


def test_killed_in_either_half_it_goes_on_to_the_same_bytes(
    calm: Both, other: Both, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server.delay = 0.5
    other.kill(lambda: bool(other.commits("pairs")))
    assert not (other.out / "run").exists()
    told = status(capsys, other.out)
    assert f"{other.out}/pairs: " in told
    assert f"{other.out}: its images begin when the caption pairs are written" in told
    server.delay = 0.0
    written = other.commits("pairs")
    other.kill(lambda: bool(other.commits()))
    asked = len(server.requests)
    assert set(written) < set(other.commits("pairs"))
    begun = other.commits()
    assert "killed" in status(capsys, other.out) or "running" in status(capsys, other.out)
    other.run()
    # What is committed is not asked for again.
    assert len(server.requests) == asked
    assert set(begun) < set(other.commits())
    assert other.made() == calm.made()


def test_a_lost_endpoint_or_key_keeps_what_was_written(calm: Both, other: Both, server: Server) -> None:
    # Six for the first unit, and some of the second.
    server.answered_at_most = len(server.requests) + 9
    *_, line = other.run(code=2)[1].splitlines()
    assert "refuses the key in OPENAI_API_KEY" in line
    assert len(other.commits("pairs")) == 1
    kept = {path: path.read_bytes() for path in (other.out / "pairs/run").rglob("*.json")}
    for key, said in (("", "no key in OPENAI_API_KEY"), ("wrong", "refuses the key in OPENAI_API_KEY")):
        (line,) = other.run(code=2, key=key)[1].splitlines()
        assert said in line
        assert KEY not in line
    (line,) = other.run("writer.endpoint=http://127.0.0.1:9/v1", code=2)[1].splitlines()
    assert "does not answer" in line
    for path, data in kept.items():
        if "commits" in path.parts:
            assert path.read_bytes() == data
    server.answered_at_most = None
    other.run()
    assert other.made() == calm.made()


def test_settings_of_either_half_are_refused_by_name(calm: Both) -> None:
    (line,) = calm.run("writer.temperature=0.1", code=2)[1].splitlines()
    assert "writer.temperature was 0.7, is 0.1" in line
    assert f"{calm.out}/pairs" in line
    (line,) = calm.run("sweep.seeds=3", code=2)[1].splitlines()
    assert "sweep.seeds was 2, is 3" in line


def test_captions_that_were_appended_are_added_to_both_plans(calm: Both, other: Both) -> None:
    captions = other.folder / "captions.jsonl"
    every = captions.read_text().splitlines(keepends=True)
    captions.write_text("".join(every[:6]))
    other.run()
    before = (other.out / "pairs/pairs.jsonl").read_text()
    captions.write_text("".join(every))
    _, stderr = other.run(code=2)
    assert "extend=true" in stderr
    other.run("extend=true")
    assert (other.out / "pairs/pairs.jsonl").read_text().startswith(before)
    assert other.made()["pairs/pairs.jsonl"] == calm.made()["pairs/pairs.jsonl"]


def test_strict_waits_for_every_answer_before_images(
    calm: Both, other: Both, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.faults.append(400)
    _, stderr = other.run("strict=true", code=3)
    assert f"pairforge retry-failed {other.out}/pairs" in stderr
    assert not (other.out / "run").exists()
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert main(["retry-failed", f"{other.out}/pairs"]) == 0
    other.run("strict=true")
    assert other.made() == calm.made()


def test_captions_of_which_no_pair_is_kept_are_one_line(other: Both) -> None:
    _, stderr = other.run("checks.instruction_words=1", code=2)
    *_, line = stderr.splitlines()
    assert "no pair was kept of" in line
    assert not (other.out / "run").exists()


def test_a_damaged_half_is_repaired(calm: Both, capsys: pytest.CaptureFixture[str]) -> None:
    before = calm.made()
    (calm.out / "pairs/pairs.jsonl").write_text("")
    (calm.out / "data/train-000000.tar").write_bytes(b"")
    assert main(["verify", str(calm.out)]) == 1
    assert main(["repair", str(calm.out)]) == 0
    assert calm.made() == before


def test_the_output_may_be_an_object_store(calm: Both, other: Both) -> None:
    with s3.served() as bucket:
        other.run(f"out={bucket}/set")
        store = Store(f"{bucket}/set")
        assert {name: hashlib.sha256(store.read(name)).hexdigest() for name in calm.made()} == calm.made()
