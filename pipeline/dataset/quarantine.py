"""Quarantine of failed pairs: quarantine/pairs.jsonl lists them with their reasons."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from stages.storage.plan_files import read_unit
from stages.storage.store import Store

NAME = "quarantine/pairs.jsonl"


def write_failures(store: Store, commits: Sequence[dict[str, Any]]) -> None:
    """Write the failed pairs of the commits, or remove the file if none failed."""
    lines = []
    for commit in commits:
        pairs = (
            {pair.id: pair for pair in read_unit(store, commit["unit"]).pairs} if commit["failures"] else {}
        )
        for failure in commit["failures"]:
            record = {**failure, **asdict(pairs[failure["pair_id"]])}
            lines.append(json.dumps(record, ensure_ascii=False).encode() + b"\n")
    if lines:
        store.write(NAME, b"".join(lines))
    else:
        store.remove(NAME)
