from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa

from stages.formats import parquet

ENDS = """
import sys
from pathlib import Path
from stages.formats import parquet
parquet.read(Path(sys.argv[1]).read_bytes())
"""
PROCESSES = 24


def test_what_was_written_is_read_whole_or_by_columns():
    rows = pa.table({"a": [1, 2, 3], "b": ["x", "", "z"]})
    data = parquet.written(rows)
    assert parquet.read(data).equals(rows)
    assert parquet.read(data, ["b"]).equals(rows.select(["b"]))


def test_a_process_that_has_just_read_ends_well(tmp_path: Path):
    path = tmp_path / "rows.parquet"
    path.write_bytes(parquet.written(pa.table({f"c{k}": list(range(2000)) for k in range(14)})))

    def code(_: int) -> int:
        return subprocess.run([sys.executable, "-c", ENDS, str(path)], stderr=subprocess.DEVNULL).returncode

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(code, range(PROCESSES))) == {0}
