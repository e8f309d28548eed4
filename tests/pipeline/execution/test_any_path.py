"""Runs whose output, captions and models lie in folders with any characters, whatever the locale."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import miniworld

FOLDERS = ["jürgen", "日本 語", "😀", 'it\'s "quoted", = and #']
CAPTIONS = (
    '{"input": "a red circle on grass", "edit": "make the circle blue", "output": "a blue circle on grass"}\n'
)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_a_run_in_folders_with_any_characters(locale: str, tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*FOLDERS)
    folder.mkdir(parents=True)
    shutil.copytree(miniworld.MODEL, folder / "modèle")
    shutil.copytree(miniworld.CLIP, folder / "clip")
    (folder / "légendes.jsonl").write_text(CAPTIONS, encoding="utf-8")
    command = [
        sys.executable, "-m", "pipeline.cli.main", "captions=jsonl", f"captions.path={folder / 'légendes.jsonl'}",
        "model=path", f"model.path={folder / 'modèle'}", f"filter.name=local-dir:{folder / 'clip'}",
        "sweep.seeds=1", "sampler.steps=8", f"cluster.metrics_port={_free_port()}", "out=größe",
    ]  # fmt: skip
    environment = {
        **os.environ,
        "LANG": locale,
        "LC_ALL": locale,
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }
    environment.pop("PYTHONUTF8", None)
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=800)
    assert run.returncode == 0, run.stderr.decode()
    assert list((folder / "größe" / "scores").glob("*.parquet"))
    for again in (["status", "größe"], ["verify", "größe"], ["report", "größe"]):
        subprocess.run([*command[:3], *again], cwd=folder, env=environment, capture_output=True, check=True)
