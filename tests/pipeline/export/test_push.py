from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.dataset.contact_sheet import SHEET
from tests.pipeline.export.hub import Hub, serving
from tests.pipeline.export.test_write_dataset import KEPT, finished

pytestmark = pytest.mark.long


def push(folder: Path, hub: Hub, token: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own: where the hub is, is read when its client is imported."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "HF_ENDPOINT": hub.url,
        "HF_TOKEN": token,
        "HF_HOME": str(folder / "home"),
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "NO_PROXY": "127.0.0.1",
    }
    arguments = [str(folder / "out"), f"to={folder / 'set'}", "split=[0.5,0.5]", "push_to_hub=me/edits"]
    return subprocess.run(
        [sys.executable, "-m", "pipeline.cli.main", "export", *arguments],
        env=environment,
        cwd=folder,
        text=True,
        capture_output=True,
        timeout=300,
    )


def test_the_hub_receives_the_export_unchanged(tmp_path: Path):
    finished(str(tmp_path / "out"))
    (tmp_path / "out" / SHEET).write_bytes(b"a picture")
    with serving() as hub:
        done = push(tmp_path, hub, hub.token)
    assert done.returncode == 0, done.stderr
    files = hub.stored["me/edits"]
    local = {path.relative_to(tmp_path / "set"): path for path in (tmp_path / "set").rglob("*")}
    assert {name: data for name, data in files.items() if name != ".gitattributes"} == {
        str(name): path.read_bytes() for name, path in local.items() if path.is_file()
    }
    tables = [pq.read_table(io.BytesIO(data)) for name, data in files.items() if name.endswith(".parquet")]
    assert sum(table.num_rows for table in tables) == sum(KEPT)
    assert {"README.md", SHEET} < set(files)


def test_a_refused_token_is_reported_in_one_line(tmp_path: Path):
    finished(str(tmp_path / "out"))
    with serving() as hub:
        done = push(tmp_path, hub, "hf_other")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "push_to_hub=me/edits" in line
    assert "401" in line
    assert hub.stored == {}
    assert (tmp_path / "set" / "README.md").exists()
