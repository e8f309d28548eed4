"""What is damaged in an output: everything that has a digest is held to it, every sample is opened."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow.parquet as pq
from PIL import Image

from pipeline.pack import MANIFEST, Packed, manifest
from pipeline.plan import Plan
from stages import answers, scores, tarball
from stages.sealed import DamageError
from stages.store import Store
from stages.write import PartError, committed, read_commit, read_part

FLOATS = ("p2p_threshold", "cfg_scale", "clip_sim_0", "clip_sim_1", "clip_sim_dir", "clip_sim_image")
TEXTS = ("input_prompt", "edit_prompt", "output_prompt", "pair_id", "meta")
INTEGERS = ("seed", "sample_index")
TYPES = {**dict.fromkeys(FLOATS, float), **dict.fromkeys(TEXTS, str), **dict.fromkeys(INTEGERS, int)}


@dataclass(frozen=True)
class Damage:
    """``name`` is the file; ``unit`` the one whose commit or part it is, None for what is packed or planned."""

    name: str
    reason: str
    unit: int | None = None


def in_plan(store: Store, plan: Plan) -> Iterator[Damage]:
    for name, digest in plan.named_files:
        reason = _differs(store, name, digest)
        if reason:
            yield Damage(name, reason)


def in_units(store: Store) -> Iterator[Damage]:
    """Commits and the parts they name."""
    for unit in sorted(committed(store)):
        try:
            commit = read_commit(store, unit)
            for kind in commit["part"]:
                read_part(store, commit, kind)
        except (DamageError, PartError, FileNotFoundError) as error:
            yield Damage(f"unit {unit}", str(error), unit)


def in_packed(store: Store) -> Iterator[Damage]:
    """Shards and scores: their digests first; then, of those that stand, every sample."""
    try:
        files = manifest(store)
    except DamageError as error:
        # Without it nobody can tell which files there should be: they are packed again with it.
        yield Damage(MANIFEST, str(error))
        return
    for file in files:
        reason = _differs(store, file.name, file.sha256)
        problems = [reason] if reason else _opened(store, file)
        yield from (Damage(file.name, problem) for problem in problems)


def _differs(store: Store, name: str, digest: str) -> str:
    try:
        found = hashlib.sha256(store.read(name)).hexdigest()
    except FileNotFoundError:
        return "is missing"
    return "" if found == digest else "is not what was written: its digest differs"


def _opened(store: Store, file: Packed) -> list[str]:
    data = store.read(file.name)
    if file.name.endswith(".parquet"):
        table = pq.read_table(io.BytesIO(data))
        known = scores.measures(table.schema) is not None or table.schema.equals(answers.SCHEMA)
        known = known or (
            file.name.startswith("pairs.") and table.schema.names[:3] == ["input", "edit", "output"]
        )
        whole = known and table.num_rows == file.rows
        return [] if whole else [f"has {table.num_rows} rows of {table.schema.names}, not {file.rows}"]
    if file.name.endswith(".jsonl"):
        lines = data.count(b"\n")
        return [] if lines == file.rows else [f"has {lines} lines, not {file.rows}"]
    try:
        samples = list(tarball.read_samples(data))
    except tarfile.TarError as error:
        return [f"is no tar: {error}"]
    problems = [problem for key, files in samples for problem in _sample(key, files)]
    if len(samples) != file.rows:
        problems.append(f"has {len(samples)} samples, not {file.rows}")
    return problems


def _sample(key: str, files: Sequence[tuple[str, bytes]]) -> Iterator[str]:
    parts = {name.split(".", 1)[1]: data for name, data in files}
    images = {
        name: data for name, data in parts.items() if name.startswith(("input_image.", "edited_image."))
    }
    if len(images) != 2 or set(parts) - set(images) != {"edit_prompt.txt", "json"}:
        yield f"sample {key} has the members {', '.join(sorted(parts))}"
        return
    for name, image in images.items():
        try:
            Image.open(io.BytesIO(image)).load()
        except (OSError, SyntaxError) as error:
            yield f"sample {key}: {name} does not decode: {error}"
    try:
        about = json.loads(parts["json"])
    except ValueError as error:
        yield f"sample {key}: its JSON does not read: {error}"
        return
    for name, kind in TYPES.items():
        if type(about.get(name)) is not kind:
            yield f"sample {key}: {name} is {about.get(name)!r}, not {kind.__name__}"
    if any(value is None for value in about.values()):
        yield f"sample {key}: a field is null"
