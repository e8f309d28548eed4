"""Every candidate's scores as Parquet, in one fixed schema."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields

import pyarrow as pa

from stages.formats import parquet
from stages.records import Candidate, CaptionPair

SCHEMA = pa.schema(
    [
        pa.field(name, kind, nullable=False)
        for name, kind in (
            ("pair_id", pa.string()),
            ("sample_index", pa.int32()),
            ("input_prompt", pa.string()),
            ("edit_prompt", pa.string()),
            ("output_prompt", pa.string()),
            ("seed", pa.int64()),
            ("p2p_threshold", pa.float64()),
            ("cfg_scale", pa.float64()),
            ("clip_sim_0", pa.float32()),
            ("clip_sim_1", pa.float32()),
            ("clip_sim_dir", pa.float32()),
            ("clip_sim_image", pa.float32()),
            ("kept", pa.bool_()),
            ("reason", pa.string()),
        )
    ]
)


def schema(measures: Iterable[str]) -> pa.Schema:
    """``SCHEMA``, and a column for each measure."""
    more = [pa.field(name, pa.float32(), nullable=False) for name in measures]
    return pa.schema([*SCHEMA, *more])


def measures(found: pa.Schema) -> list[str] | None:
    """The measures in a table's schema, None if it is not one of ``schema``'s."""
    names = found.names[len(SCHEMA) :]
    return names if found.equals(schema(names)) else None


def table(pairs: Sequence[CaptionPair], candidates: Sequence[Candidate]) -> pa.Table:
    """One row a candidate, with the captions of its pair."""
    by_id = {pair.id: pair for pair in pairs}
    rows = [
        {
            **columns(by_id[candidate.pair_id], candidate),
            "kept": candidate.kept,
            "reason": candidate.reason,
            **candidate.measures,
        }
        for candidate in candidates
    ]
    return pa.Table.from_pylist(rows, schema=schema(candidates[0].measures if candidates else ()))


def columns(pair: CaptionPair, candidate: Candidate) -> dict[str, str | int | float]:
    """What was tried and how CLIP scored it, by the names that InstructPix2Pix's users parse."""
    return {
        "pair_id": pair.id,
        "sample_index": candidate.sample_index,
        "input_prompt": pair.input,
        "edit_prompt": pair.edit,
        "output_prompt": pair.output,
        "seed": candidate.seed,
        "p2p_threshold": candidate.tau,
        "cfg_scale": candidate.cfg_scale,
        "clip_sim_0": candidate.clip_sim_0,
        "clip_sim_1": candidate.clip_sim_1,
        "clip_sim_dir": candidate.clip_sim_dir,
        "clip_sim_image": candidate.clip_sim_image,
    }


def candidates(rows: pa.Table) -> list[Candidate]:
    """What ``table`` was given, in its order."""
    names = rows.schema.names[len(SCHEMA) :]
    renamed = {"tau": "p2p_threshold"}
    own = [field.name for field in fields(Candidate) if field.name != "measures"]
    return [
        Candidate(**{name: row[renamed.get(name, name)] for name in own}, measures={n: row[n] for n in names})
        for row in rows.to_pylist()
    ]


def to_bytes(rows: pa.Table) -> bytes:
    return parquet.written(rows)


def from_bytes(data: bytes) -> pa.Table:
    return parquet.read(data)
