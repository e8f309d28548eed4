"""The files that a caption pair passes from its JSON line to its tar member."""

from __future__ import annotations

import re
import sys
import threading
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

from stages.generate import Generate
from tests import runs

ROOT = Path(__file__).parents[2]
IN_PROCESSES = {
    "pipeline/execution/worker_pool.py",
    "pipeline/execution/unit_worker.py",
    "stages/worker/process.py",
    "stages/worker/supervisor.py",
}
"""Files that hand a unit from the driver to a worker and back. The test's run is in one process, without them."""


def calls_by_file(pairs: int, model: Path, clip: Path, folder: Path) -> Counter[str]:
    """Count the calls in each file of stages/ and pipeline/ while so many caption pairs are made and packed."""
    folder.mkdir()
    captions = runs.write_pairs(folder / "pairs.jsonl", runs.PAIRS[:pairs])
    config = runs.config(
        model,
        clip,
        "captions=jsonl",
        f"captions.path={captions}",
        f"out={folder / 'out'}",
        "unit_pairs=1",
        "sheet.attention=0",
    )
    calls = Counter[str]()

    def count(frame: FrameType, event: str, _: Any) -> None:
        path = frame.f_code.co_filename
        if event == "call" and path.startswith((f"{ROOT}/stages/", f"{ROOT}/pipeline/")):
            calls[str(Path(path).relative_to(ROOT))] += 1

    threading.setprofile(count)
    sys.setprofile(count)
    try:
        runs.packed(config, Generate)
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return calls


def files_in_the_docs() -> set[str]:
    """Read the table of the architecture, in which a bare name lies in the folder of the file before it."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    table = (
        page.partition("## The files that a caption pair passes")[2]
        .partition("| step |")[2]
        .partition("##")[0]
    )
    names, folder = set(), Path()
    for name in re.findall(r"`([\w/]+\.py)`", table):
        folder = Path(name).parent if "/" in name else folder
        names.add(str(folder / Path(name).name))
    return names


def test_a_caption_pair_passes_the_files_of_the_table(sd1_folder: Path, clip_folder: Path, tmp_path: Path):
    few = calls_by_file(1, sd1_folder, clip_folder, tmp_path / "few")
    more = calls_by_file(3, sd1_folder, clip_folder, tmp_path / "more")
    way = {name for name in more if more[name] > few[name]} | IN_PROCESSES
    assert way == files_in_the_docs()
    assert len(way) <= 25
