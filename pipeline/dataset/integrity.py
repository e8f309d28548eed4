"""Finds damage in an output: compares every file with its digest and opens every sample."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from PIL import Image

from pipeline.dataset.pack import MANIFEST, PackedFile, digests_of, manifest
from pipeline.planning.plan import Plan
from stages.candidates.reconstruction import RECONSTRUCTION_SCORES
from stages.formats import parquet_tables, sample_schema, tar
from stages.storage import heartbeat
from stages.storage.commits import PARTS, committed_units, read_commit, read_commits, read_part
from stages.storage.store import DamageError, Store


@dataclass(frozen=True)
class Damage:
    """A damaged file. ``unit`` is the unit whose commit or part it is, None for a packed or planned file."""

    name: str
    reason: str
    unit: int | None = None


def in_plan(store: Store, plan: Plan) -> Iterator[Damage]:
    """Checks the digests of the plan's files."""
    for name, digest in plan.named_files:
        found = _read(store, name, digest)
        if isinstance(found, str):
            yield Damage(name, found)


def is_bare(store: Store) -> bool:
    """Tells whether the parts were deleted, as is allowed after packing. A run whose pairs all failed had none."""
    if not store.exists(MANIFEST) or store.list(PARTS):
        return False
    try:
        return bool(manifest(store))
    except DamageError:
        return True


def in_units(store: Store) -> Iterator[Damage]:
    """Checks the commits and their parts, unless all parts were deleted."""
    bare = is_bare(store)
    for unit in sorted(committed_units(store)):
        try:
            commit = read_commit(store, unit)
            for kind in () if bare else commit["part"]:
                read_part(store, commit, kind)
        except (DamageError, FileNotFoundError) as error:
            yield Damage(f"unit {unit}", str(error), unit)


def in_packed(store: Store, plan: Plan) -> Iterator[Damage]:
    """Checks the record of packing, the digests of shards and scores, and every sample of the undamaged ones."""
    yield from _recorded(store, plan)
    try:
        files = manifest(store)
    except DamageError as error:
        # The record names the packed files, so they cannot be checked. Packing writes them again with it.
        yield Damage(MANIFEST, str(error))
        return
    measures = [measure["name"] for measure in plan.settings.get("filter.measures", [])]
    measures += RECONSTRUCTION_SCORES if plan.images else ()
    for file in files:
        found = _read(store, file.name, file.sha256)
        problems = [found] if isinstance(found, str) else _find_problems(found, file, measures, plan.images)
        yield from (Damage(file.name, problem) for problem in problems)


def _recorded(store: Store, plan: Plan) -> Iterator[Damage]:
    """Checks that the packed units are the committed ones, unless a driver is still running."""
    if any(driver.is_alive(time.time()) for driver in heartbeat.read_heartbeats(store)):
        return
    done = sorted(committed_units(store))
    # The units of an extension are packed when all of them are committed.
    ends = [plan.units] if len(done) >= plan.units else [extension.first for extension in plan.extensions]
    whole = [end for end in ends if done[:end] == list(range(end))]
    try:
        packed = store.read_record(MANIFEST)["commits"]
        known = digests_of(read_commits(store, done), whole)
    except FileNotFoundError:
        if len(done) >= plan.units:
            yield Damage(
                MANIFEST, "is missing, and all units are committed: packing was not finished, or it was lost"
            )
        return
    except DamageError:
        # The checks of single files report it by its name.
        return
    if packed not in known:
        missing = plan.units - len(done)
        yield Damage(MANIFEST, f"is of other commits than those that are there ({missing:,} units have none)")


def _read(store: Store, name: str, digest: str) -> bytes | str:
    """Returns the file's bytes, or the damage as text."""
    try:
        data = store.read(name)
    except FileNotFoundError:
        return "is missing"
    whole = hashlib.sha256(data).hexdigest() == digest
    return data if whole else "is not what was written: its digest differs"


def _find_problems(data: bytes, file: PackedFile, measures: Collection[str], images: bool) -> list[str]:
    """Returns a text for each problem of a packed file whose digest is right."""
    if file.name.endswith(".parquet"):
        table = parquet_tables.from_bytes(data)
        known = (
            parquet_tables.measures_of(table.schema) is not None
            or table.schema.equals(parquet_tables.ANSWERS)
            or (file.name.startswith("pairs.") and table.schema.names[:3] == ["input", "edit", "output"])
        )
        whole = known and table.num_rows == file.rows
        return [] if whole else [f"has {table.num_rows} rows of {table.schema.names}, not {file.rows}"]
    if file.name.endswith(".jsonl"):
        lines = data.count(b"\n")
        return [] if lines == file.rows else [f"has {lines} lines, not {file.rows}"]
    try:
        samples = list(tar.read_samples(data))
    except tarfile.TarError as error:
        return [f"is no tar: {error}"]
    problems = [
        problem for key, files in samples for problem in _find_sample_problems(key, files, measures, images)
    ]
    if len(samples) != file.rows:
        problems.append(f"has {len(samples)} samples, not {file.rows}")
    return problems


def _find_sample_problems(
    key: str, files: tar.Files, measures: Collection[str], has_images: bool
) -> Iterator[str]:
    images = {
        name: data for name, data in files.items() if name.startswith(("input_image.", "edited_image."))
    }
    if len(images) != 2 or set(files) - set(images) != {"edit_prompt.txt", "json"}:
        yield f"sample {key} has the members {', '.join(sorted(files))}"
        return
    for name, image in images.items():
        try:
            Image.open(io.BytesIO(image)).load()
        except (OSError, SyntaxError) as error:
            yield f"sample {key}: {name} does not decode: {error}"
    try:
        metadata = json.loads(files["json"])
    except ValueError as error:
        yield f"sample {key}: its JSON does not read: {error}"
        return
    yield from (
        f"sample {key}: {problem}" for problem in sample_schema.find_problems(metadata, measures, has_images)
    )
