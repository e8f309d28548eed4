from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.formats import parquet_tables
from stages.records import Candidate, CaptionPair, WrittenPair

READER = """
import sys
from pathlib import Path
from stages.formats import parquet_tables
parquet_tables.from_bytes(Path(sys.argv[1]).read_bytes())
"""
PROCESSES = 24
PAIRS = (CaptionPair("a", "b", "c"), CaptionPair("d", "é\u2028", "f"))
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
SCORE = st.floats(-1, 1, width=32)
CANDIDATES = st.builds(
    Candidate,
    pair_id=st.sampled_from([pair.id for pair in PAIRS]),
    sample_index=st.integers(0, 2**31 - 1),
    seed=st.integers(0, 2**63 - 1),
    tau=st.floats(0, 1),
    cfg_scale=st.floats(1, 20),
    clip_sim_0=SCORE,
    clip_sim_1=SCORE,
    clip_sim_dir=SCORE,
    clip_sim_image=SCORE,
    kept=st.booleans(),
    reason=TEXT,
)
ANSWERS = st.builds(
    WrittenPair,
    pair_id=TEXT,
    sample_index=st.integers(0, 2**31 - 1),
    seed=st.integers(0, 2**63 - 1),
    caption=TEXT,
    instruction=TEXT,
    edited_caption=TEXT,
    kept=st.booleans(),
    reason=TEXT,
    text=TEXT,
    meta=TEXT,
)


@given(
    st.lists(CANDIDATES, max_size=5), st.lists(st.sampled_from(["ssim", "area", "dino"]), unique=True), SCORE
)
def test_candidates_are_read_back_with_their_measures(
    candidates: list[Candidate], names: list[str], score: float
):
    measured = [replace(candidate, measures=dict.fromkeys(names, score)) for candidate in candidates]
    data = parquet_tables.to_bytes(parquet_tables.scores_table(PAIRS, measured))
    table = parquet_tables.from_bytes(data)
    assert parquet_tables.candidates_of(table) == measured
    assert parquet_tables.measures_of(table.schema) == (names if measured else [])
    edits = {pair.id: pair.edit for pair in PAIRS}
    assert table["edit_prompt"].to_pylist() == [edits[candidate.pair_id] for candidate in measured]


@given(st.lists(ANSWERS, max_size=5))
def test_answers_are_read_back(answers: list[WrittenPair]):
    data = parquet_tables.to_bytes(parquet_tables.answers_table(answers))
    assert parquet_tables.answers_of(parquet_tables.from_bytes(data)) == answers


@pytest.mark.parametrize("schema", [parquet_tables.ANSWERS, pa.schema([]), parquet_tables.SCORES.remove(3)])
def test_a_schema_of_something_else_has_no_measures(schema: pa.Schema):
    assert parquet_tables.measures_of(schema) is None


def test_a_table_is_read_whole_or_by_columns():
    table = pa.table({"a": [1, 2, 3], "b": ["x", "", "z"]})
    data = parquet_tables.to_bytes(table)
    assert parquet_tables.from_bytes(data).equals(table)
    assert parquet_tables.from_bytes(data, ["b"]).equals(table.select(["b"]))


def test_a_process_that_has_just_read_ends_well(tmp_path: Path):
    path = tmp_path / "rows.parquet"
    table = pa.table({f"c{k}": list(range(2000)) for k in range(14)})
    path.write_bytes(parquet_tables.to_bytes(table))

    def code(_: int) -> int:
        command = [sys.executable, "-c", READER, str(path)]
        return subprocess.run(command, stderr=subprocess.DEVNULL).returncode

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(code, range(PROCESSES))) == {0}
