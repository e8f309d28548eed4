"""What failed, told beside the lines that could not be used."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from stages.storage.plan_files import read_unit
from stages.storage.store import Store

NAME = "quarantine/pairs.jsonl"


def write_failures(store: Store, commits: Sequence[dict[str, Any]]) -> None:
    """The pairs that failed, each with its reason, in quarantine/pairs.jsonl; no such file where none did."""
    failures = b"".join(_failures(store, commits))
    if failures:
        store.write(NAME, failures)
    else:
        store.remove(NAME)


def _failures(store: Store, commits: Sequence[dict[str, Any]]) -> Iterator[bytes]:
    for commit in commits:
        if not commit["failures"]:
            continue
        pairs = {pair.id: pair for pair in read_unit(store, commit["unit"]).pairs}
        for failure in commit["failures"]:
            record = {**failure, **asdict(pairs[failure["pair_id"]])}
            yield json.dumps(record, ensure_ascii=False).encode() + b"\n"
