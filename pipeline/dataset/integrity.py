"""Finds damage in an output: compares every file with its digest and opens every sample."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from PIL import Image

from pipeline.dataset.pack import MANIFEST, PackedFile, digest_of, manifest, packed_commits
from pipeline.planning.plan import VERSIONS, Plan
from stages.formats import answers, parquet, sample_schema, score_table, tar
from stages.storage import heartbeat
from stages.storage.checksum import DamageError
from stages.storage.commits import PARTS, PartError, committed_units, read_commit, read_commits, read_part
from stages.storage.store import Store

Schema = Callable[[Any], Iterator[str]]


@dataclass(frozen=True)
class Damage:
    """A damaged file. ``unit`` is the unit whose commit or part it is, None for a packed or planned file."""

    name: str
    reason: str
    unit: int | None = None


def in_plan(store: Store, plan: Plan) -> Iterator[Damage]:
    for name, digest in plan.named_files:
        found = _read(store, name, digest)
        if isinstance(found, str):
            yield Damage(name, found)


def is_bare(store: Store) -> bool:
    """Tells whether the parts were deleted, as is allowed after packing."""
    return store.exists(MANIFEST) and not store.list(PARTS)


def in_units(store: Store) -> Iterator[Damage]:
    """Checks the commits and their parts, unless all parts were deleted."""
    bare = is_bare(store)
    for unit in sorted(committed_units(store)):
        try:
            commit = read_commit(store, unit)
            for kind in () if bare else commit["part"]:
                read_part(store, commit, kind)
        except (DamageError, PartError, FileNotFoundError) as error:
            yield Damage(f"unit {unit}", str(error), unit)


def in_packed(store: Store, plan: Plan) -> Iterator[Damage]:
    """Checks the record of packing, the digests of shards and scores, and every sample of the undamaged ones."""
    yield from _recorded(store, plan)
    try:
        files = manifest(store)
    except DamageError as error:
        # Without it nobody can tell which files there should be: they are packed again with it.
        yield Damage(MANIFEST, str(error))
        return
    measures = [measure["name"] for measure in plan.settings.get("filter.measures", [])]
    own = _is_own(store)

    def wrong(about: Any) -> Iterator[str]:
        return sample_schema.problems(about, measures, own)

    for file in files:
        found = _read(store, file.name, file.sha256)
        problems = [found] if isinstance(found, str) else _opened(found, file, wrong)
        yield from (Damage(file.name, problem) for problem in problems)


def _recorded(store: Store, plan: Plan) -> Iterator[Damage]:
    """Checks that the packed units are the committed ones, unless a driver is still running."""
    if any(driver.is_alive(time.time()) for driver in heartbeat.read_heartbeats(store)):
        return
    done = sorted(committed_units(store))
    try:
        packed = packed_commits(store)
        commits = list(read_commits(store, done))
    except FileNotFoundError:
        if len(done) >= plan.units:
            yield Damage(
                MANIFEST, "is missing, and all units are committed: packing was not finished, or it was lost"
            )
        return
    except DamageError:
        # Told of by name where they are looked at one by one.
        return
    # What an extension added is packed when all of it is there.
    ends = [plan.units] if len(done) >= plan.units else [extension.first for extension in plan.extensions]
    if packed not in {digest_of(commits[:end]) for end in ends if done[:end] == list(range(end))}:
        missing = plan.units - len(done)
        yield Damage(MANIFEST, f"is of other commits than those that are there ({missing:,} units have none)")


def _is_own(store: Store) -> bool:
    """Tells whether this version of PairForge made the output, or the output does not say."""
    if not store.exists(VERSIONS):
        return True
    return json.loads(store.read(VERSIONS)).get("pairforge") == version("pairforge")


def _read(store: Store, name: str, digest: str) -> bytes | str:
    """Returns the file's bytes, or the damage as text."""
    try:
        data = store.read(name)
    except FileNotFoundError:
        return "is missing"
    whole = hashlib.sha256(data).hexdigest() == digest
    return data if whole else "is not what was written: its digest differs"


def _opened(data: bytes, file: PackedFile, wrong: Schema) -> list[str]:
    if file.name.endswith(".parquet"):
        table = parquet.read(data)
        known = score_table.measures(table.schema) is not None or table.schema.equals(answers.SCHEMA)
        known = known or (
            file.name.startswith("pairs.") and table.schema.names[:3] == ["input", "edit", "output"]
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
    problems = [problem for key, files in samples for problem in _sample(key, files, wrong)]
    if len(samples) != file.rows:
        problems.append(f"has {len(samples)} samples, not {file.rows}")
    return problems


def _sample(key: str, files: tar.Files, wrong: Schema) -> Iterator[str]:
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
        about = json.loads(files["json"])
    except ValueError as error:
        yield f"sample {key}: its JSON does not read: {error}"
        return
    yield from (f"sample {key}: {problem}" for problem in wrong(about))
