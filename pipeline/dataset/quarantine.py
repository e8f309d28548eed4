"""Quarantine of failed pairs: quarantine/pairs.jsonl lists them with their reasons."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from typing import Any

from stages.storage.plan_files import read_unit
from stages.storage.store import Store

NAME = "quarantine/pairs.jsonl"


def write_failures(store: Store, commits: Iterable[dict[str, Any]]) -> None:
    """Write the failed pairs of the commits, or remove the file if none failed."""
    failed = (commit for commit in commits if commit["failures"])
    first = next(failed, None)
    if first is None:
        store.remove(NAME)
        return
    with store.open_write(NAME) as stream:
        for commit in itertools.chain([first], failed):
            pairs = {pair.id: pair for pair in read_unit(store, commit["unit"]).pairs}
            for failure in commit["failures"]:
                record = {**failure, **pairs[failure["pair_id"]].fields()}
                stream.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")
