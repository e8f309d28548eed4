from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.cli.main import main
from tests.pipeline.pairs import small
from tests.stages.writers.openai_server import KEY, MODEL, serving


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line with which ``main`` refuses ``arguments``."""
    assert main(["pairs", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.long
def test_captions_become_pairs_and_a_repeat_does_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = small.settings(tmp_path)
    assert main(["pairs", *settings]) == 0
    said = capsys.readouterr().out
    assert "11  captions read" in said
    assert "the caption is not of the mini world" in said
    pairs = tmp_path / "pairs" / "pairs.jsonl"
    assert len(pairs.read_text().splitlines()) >= 12
    stamp = pairs.stat().st_mtime_ns
    assert main(["pairs", *settings]) == 0
    assert pairs.stat().st_mtime_ns == stamp
    assert main(["status", str(tmp_path / "pairs")]) == 0
    assert "complete" in capsys.readouterr().out
    assert main(["verify", str(tmp_path / "pairs")]) == 0
    assert "caption pairs" in capsys.readouterr().out
    page = tmp_path / "pairs" / "report" / "index.html"
    page.unlink()
    assert main(["report", str(tmp_path / "pairs")]) == 0
    assert "By verb" in page.read_text()
    whole = pairs.read_bytes()
    pairs.write_bytes(whole[:-9])
    assert main(["verify", str(tmp_path / "pairs")]) == 1
    assert main(["repair", str(tmp_path / "pairs")]) == 0
    assert pairs.read_bytes() == whole


@pytest.mark.long
def test_a_sweep_writes_the_pairs_of_each_value(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "pairs"
    assert main(["pairs", "-m", "--json", *small.settings(tmp_path), "edits=1,2"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [run["edits"] for run in told["runs"]] == ["1", "2"]
    counts = [len((out / number / "pairs.jsonl").read_text().splitlines()) for number in ("0", "1")]
    assert [run["samples"] for run in told["runs"]] == counts
    assert 0 < counts[0] < counts[1]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["-m", "out=a,b"], "out= takes one folder with --multirun"),
        (["writer=openai", "writer.model=x"], "no key in OPENAI_API_KEY"),
        (["writer=openai"], "writer.model has no value"),
        (["writer=gpt"], "no option 'gpt' in group 'writer': choose one of grammar"),
        (["writer.tempreture=1"], "did you mean writer.temperature"),
        (["sweep.seeds=1"], "unknown key 'sweep.seeds'"),
        (["writer=transformers", "writer.model=/no/such"], "there is no such folder"),
        (["writer=transformers", "writer.model=MINIWORLD"], "does not load"),
        (["writer=transformers", "writer.model=ENCODER"], "not a causal language model"),
        (["writer=vllm", "writer.model=x"], "writer=vllm needs vLLM: pip install"),
        (["checks.block_file=none.txt"], "checks.block_file=none.txt cannot be read"),
        (["checks.moderation=./none"], "checks.moderation=./none: no such folder"),
        (["writer=openai", "writer.model=x", "writer.key_env=null", "writer.template=TEMPLATE"], "{captoin}"),
        (["edits=0"], "edits=0 must be 1 or more"),
        (["writer.top_p=0"], "writer.top_p"),
        (["checks.near_duplicate=2"], "checks.near_duplicate"),
        (["captions.path=none.jsonl"], "no such file"),
        (["checks.language=EN"], "checks.language=EN is unknown to py3langid"),
        (["checks.language_least=50"], "checks.language_least=50 must be a probability"),
        (["checks.moderation_most=-0.1"], "checks.moderation_most=-0.1 must be a probability"),
        (["cluster.hours=0"], "cluster.hours=0 must be over 0"),
        (["cluster.unit_seconds=0.5"], "cluster.unit_seconds=0.5 must be 1 or more"),
        (["cluster=ray"], "cluster=ray needs cluster.address"),
    ],
)
def test_what_cannot_be_is_one_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    settings: list[str],
    said: str,
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    (tmp_path / "own.yaml").write_text("ask: 'Caption: {captoin}'")
    import miniworld

    named = {
        "MINIWORLD": str(miniworld.MODEL / "unet"),
        "ENCODER": str(miniworld.MODEL / "text_encoder"),
        "TEMPLATE": str(tmp_path / "own.yaml"),
    }
    for name, path in named.items():
        settings = [setting.replace(name, path) for setting in settings]
    assert said in refused(capsys, *small.settings(tmp_path), *settings)


def command(folder: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline.cli.main", "pairs", *small.settings(folder, *more)],
        env={**os.environ, "OPENAI_API_KEY": KEY, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@pytest.mark.long
def test_an_endpoint_killed_runs_and_a_key_that_is_nowhere(tmp_path: Path) -> None:
    said = []
    outcomes = []
    with serving() as server:
        asking = [
            "writer=openai",
            f"writer.model={MODEL}",
            f"writer.endpoint={server.url}",
            "writer.concurrency=2",
        ]
        for name in ("calm", "killed"):
            folder = tmp_path / name
            folder.mkdir()
            if name == "killed":
                server.delay = 0.7
                server.requests.clear()
                process = command(folder, *asking)
                while len(server.requests) < 9:
                    time.sleep(0.05)
                    assert process.poll() is None
                os.killpg(process.pid, signal.SIGKILL)
                said.append(process.communicate()[0])
                assert not (folder / "pairs" / "pairs.jsonl").exists()
                server.delay = 0.0
            process = command(folder, *asking)
            said.append(process.communicate(timeout=120)[0])
            assert process.returncode == 0, said[-1]
            outcomes.append((folder / "pairs" / "pairs.jsonl").read_bytes())
    assert outcomes[0] == outcomes[1]
    assert len(outcomes[0].splitlines()) >= 12
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if KEY.encode() in path.read_bytes()]
    assert KEY not in "".join(said)


@pytest.mark.long
def test_an_endpoint_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = command(
        tmp_path,
        "writer=openai",
        "writer.model=x",
        f"writer.endpoint=http://127.0.0.1:{port}/v1",
        "writer.retries=0",
    )
    (line,) = process.communicate(timeout=120)[0].splitlines()
    assert process.returncode == 2
    assert "does not answer: start the server" in line
