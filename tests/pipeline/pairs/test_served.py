"""A run whose endpoint is transformers' own server, killed on the way and started again."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

import miniworld
from tests.pipeline.commands.test_pairs import command
from tests.stages.writers.served import MODEL, free_port, transformers_server

SECONDS = 300


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_server_that_is_killed_ends_the_run_and_loses_nothing(tmp_path: Path) -> None:
    port, outcomes = free_port(), []
    asking = [
        "writer=openai",
        f"writer.model={MODEL}",
        f"writer.endpoint=http://127.0.0.1:{port}/v1",
        "writer.ask=completion",
        "writer.max_tokens=96",
        "writer.concurrency=1",
        "writer.retries=0",
    ]
    for name in ("killed", "calm"):
        folder = tmp_path / name
        folder.mkdir()
        captions = (miniworld.CAPTIONS.parent / "captions.txt").read_text().splitlines()[:60]
        rows = (json.dumps({"caption": caption}) for caption in captions)
        (folder / "captions.jsonl").write_text("\n".join(rows))
        commits = folder / "pairs/run/commits"
        with transformers_server(port) as server:
            process = command(folder, *asking)
            if name == "killed":
                while not list(commits.glob("*.json")):
                    assert process.poll() is None, process.communicate()
                    time.sleep(0.02)
                server.kill()
            said, _ = process.communicate(timeout=SECONDS)
        if name == "killed":
            assert process.returncode == 2, said
            assert "does not answer" in said.splitlines()[-1]
            kept = {path: path.read_bytes() for path in commits.glob("*.json")}
            assert 0 < len(kept) < len(captions) / 3
            with transformers_server(port):
                process = command(folder, *asking)
                said, _ = process.communicate(timeout=SECONDS)
            assert all(path.read_bytes() == data for path, data in kept.items())
        assert process.returncode == 0, said
        outcomes.append((folder / "pairs/pairs.jsonl").read_bytes())
    assert outcomes[0] == outcomes[1]
    assert len(outcomes[0].splitlines()) > 10
