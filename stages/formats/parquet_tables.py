"""Parquet tables in fixed schemas: the scores of every candidate, and the answers of a writer."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields

import pyarrow as pa
import pyarrow.parquet as pq

from stages.records import Candidate, CaptionPair, WrittenPair


def _schema(columns: dict[str, pa.DataType]) -> pa.Schema:
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in columns.items()])


SCORES = _schema(
    {
        "pair_id": pa.string(),
        "sample_index": pa.int32(),
        "input_prompt": pa.string(),
        "edit_prompt": pa.string(),
        "output_prompt": pa.string(),
        "seed": pa.int64(),
        "p2p_threshold": pa.float64(),
        "cfg_scale": pa.float64(),
        "clip_sim_0": pa.float32(),
        "clip_sim_1": pa.float32(),
        "clip_sim_dir": pa.float32(),
        "clip_sim_image": pa.float32(),
        "kept": pa.bool_(),
        "reason": pa.string(),
    }
)
"""The columns of candidates, kept or not. A column for each measure of the run follows."""

ANSWERS = _schema(
    {
        "pair_id": pa.string(),
        "sample_index": pa.int32(),
        "seed": pa.int64(),
        "caption": pa.string(),
        "instruction": pa.string(),
        "edited_caption": pa.string(),
        "kept": pa.bool_(),
        "reason": pa.string(),
        "text": pa.string(),
        "meta": pa.string(),
    }
)
"""The columns of answers, kept or not."""


def to_bytes(table: pa.Table) -> bytes:
    """Encode a table as Parquet."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def from_bytes(data: bytes, columns: Sequence[str] | None = None) -> pa.Table:
    """Decode Parquet, or only the given columns of it.

    One thread reads: pyarrow's threads, and its ``read_table``, may abort a process that ends soon afterwards.
    """
    return pq.ParquetFile(pa.BufferReader(data)).read(columns, use_threads=False)


def join(tables: Sequence[pa.Table]) -> pa.Table:
    """Join tables into one with its own memory: thousands of small ones hold ten times the memory of their records."""
    return pa.concat_tables(tables).combine_chunks()


def scores_schema(measures: Iterable[str]) -> pa.Schema:
    """Return ``SCORES`` with a column for each measure."""
    return pa.schema([*SCORES, *(pa.field(name, pa.float32(), nullable=False) for name in measures)])


def measures_of(schema: pa.Schema) -> list[str] | None:
    """Return the measures in a schema of scores; None for any other schema."""
    names = schema.names[len(SCORES) :]
    return names if schema.equals(scores_schema(names)) else None


def scores_table(pairs: Sequence[CaptionPair], candidates: Sequence[Candidate]) -> pa.Table:
    """Make a record of each candidate, with the captions of its pair."""
    by_id = {pair.id: pair for pair in pairs}
    records = [
        {
            **score_columns(by_id[candidate.pair_id], candidate),
            "kept": candidate.kept,
            "reason": candidate.reason,
            **candidate.measures,
        }
        for candidate in candidates
    ]
    return pa.Table.from_pylist(records, schema=scores_schema(candidates[0].measures if candidates else ()))


def score_columns(pair: CaptionPair, candidate: Candidate) -> dict[str, str | int | float]:
    """Return a candidate's settings and CLIP scores, by the names that users of InstructPix2Pix parse."""
    captions = {"input_prompt": pair.input, "edit_prompt": pair.edit, "output_prompt": pair.output}
    values = {**asdict(candidate), **captions, "p2p_threshold": candidate.tau}
    return {name: values[name] for name in SCORES.names if name not in ("kept", "reason")}


def candidates_of(scores: pa.Table) -> list[Candidate]:
    """Return the candidates that ``scores_table`` was given, in order."""
    measures = scores.schema.names[len(SCORES) :]
    columns = {field.name: field.name for field in fields(Candidate) if field.name != "measures"}
    columns["tau"] = "p2p_threshold"
    return [
        Candidate(
            **{name: record[column] for name, column in columns.items()},
            measures={name: record[name] for name in measures},
        )
        for record in scores.to_pylist()
    ]


def answers_table(answers: Sequence[WrittenPair]) -> pa.Table:
    return pa.Table.from_pylist([asdict(answer) for answer in answers], schema=ANSWERS)


def answers_of(table: pa.Table) -> list[WrittenPair]:
    """Return the answers that ``answers_table`` was given, in order."""
    return [WrittenPair(**record) for record in table.to_pylist()]
