"""The stages behind the face of Ray Data's rows: mappings of plain values in, mappings of plain values out."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from conf.either import Settings
from pipeline.errors import unwritable
from stages.errors import StageError
from stages.records import UnitResult
from stages.storage import heartbeat
from stages.storage.plan_files import read_unit
from stages.storage.store import Store
from stages.worker.supervisor import Supervised
from stages.write import summarise, write_unit

if TYPE_CHECKING:
    from pipeline.execution.metrics import WorkerMetrics

KINDS = ("samples", "scores", "previews", "rejected", "answers")


class GenerateRow:
    """The generate stage behind a row's face: a unit's index in; its files and its summary out, all bytes.

    Two calls may be made at once: while the images of one unit are encoded here, the models, in a process of their
    own, have the next.
    """

    def __init__(
        self, config: Settings, model_fingerprint: str, encode: Callable[[UnitResult], dict[str, bytes]]
    ) -> None:
        self.store = Store(config.out)
        self.encode = encode
        self.error = ""
        # An exception here would kill the actor, and its text would be lost among Ray's.
        try:
            self.generate = Supervised(config, model_fingerprint)
        except StageError as error:
            self.error = str(error)
        self.metrics = _metrics(config.out)
        self.since = time.perf_counter()
        self.model = threading.Lock()

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        if self.error:
            return {"error": self.error, "record": "", **dict.fromkeys(KINDS, b"")}
        unit = read_unit(self.store, int(row["unit"]))
        with self.model:
            heartbeat.note_unit(self.store, unit.index)
            try:
                with self.metrics.unit():
                    result = self.generate(unit)
            except StageError as error:
                # What the stage needs was there and is gone: no other unit would escape it.
                self.error = str(error)
                return self(row)
            record = summarise(result)
            # All of the model's time is somebody's: what no activity accounts for, waiting included, lies between.
            now = time.perf_counter()
            record["seconds"]["between"] = round(now - self.since - sum(result.seconds.values()), 3)
            self.since = now
            self.metrics.count_unit(result, record["seconds"])
        files = self.encode(result)
        return {"error": "", "record": json.dumps(record), **{k: files.get(k, b"") for k in KINDS}}


def _metrics(run: str) -> WorkerMetrics:
    # Ray takes a second to import, and is there already where this is called.
    from pipeline.execution.metrics import WorkerMetrics

    return WorkerMetrics(run)


def write_row(row: dict[str, Any], out: str) -> dict[str, Any]:
    """The write stage behind a row's face: writes the part and commits it; the summary alone goes on."""
    if row["error"]:
        return {"error": row["error"], "record": ""}
    files = {kind: row[kind] for kind in KINDS if row[kind]}
    store, record = Store(out), json.loads(row["record"])
    try:
        write_unit(store, files, record)
        heartbeat.remove_note(store, record["unit"])
    except OSError as error:
        # An exception here would be tried again and told by Ray; this one says it to the user, once.
        return {"error": unwritable(error, f"the output {out}"), "record": row["record"]}
    return {"error": "", "record": row["record"]}
