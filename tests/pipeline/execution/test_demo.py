from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image


@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_demo_keeps_samples_of_most_pairs(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pipeline.cli.main", f"out={tmp_path / 'out'}"]
    subprocess.run(command, check=True, capture_output=True, timeout=800)
    scores = pq.read_table(tmp_path / "out" / "scores").to_pylist()
    assert len(scores) == 48 * 4 * 5
    pairs = {row["pair_id"] for row in scores}
    kept = {row["pair_id"] for row in scores if row["kept"]}
    assert len(pairs) == 48
    assert len(kept) >= 0.6 * len(pairs)
    assert Image.open(tmp_path / "out" / "contact-sheet.png").width > 600
