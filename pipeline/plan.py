"""The plan: units cut in input order before anything runs, written down with all that results depend on."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import p2p
from conf.schema import Config, TooLong
from pipeline.fingerprint import Models, difference, identify, settings_of
from stages import units
from stages.captions import CaptionSource
from stages.read import read_pairs
from stages.records import CaptionPair, Quarantined
from stages.store import Store

MANIFEST = f"{units.FOLDER}/plan.json"
LINES = "quarantine/lines.jsonl"


class PlanError(ValueError):
    """The output was planned otherwise, or there is nothing to plan: one line with the ways out."""


@dataclass(frozen=True)
class Plan:
    """``settings`` is all that results depend on; ``files`` the SHA-256 of the plan's files in order."""

    units: int
    pairs: int
    quarantined: int
    settings: dict[str, Any]
    files: tuple[str, ...]

    @property
    def model_fingerprint(self) -> str:
        return str(self.settings["model.fingerprint"])


def make_or_resume(store: Store, config: Config) -> Plan:
    """The output's plan, made if there is none.

    Raises PlanError if the output was planned under settings that make other results, or if no caption pair is
    good; CaptionsError, ModelError and FilterError for what is not there.
    """
    models = identify(config)
    if store.exists(MANIFEST):
        return _resume(store, config, models)
    return _make(store, config, models)


def load(store: Store) -> Plan:
    """The output's plan. Raises PlanError if it has none."""
    if not store.exists(MANIFEST):
        raise PlanError(f"{store.url} is not the output of a run: it has no {MANIFEST}")
    record = json.loads(store.read(MANIFEST))
    return Plan(**{**record, "files": tuple(record["files"])})


def _resume(store: Store, config: Config, models: Models) -> Plan:
    plan = load(store)
    digest = _Digest()
    for item in _read(config):
        digest.add(item)
    differing = difference(plan.settings, settings_of(config, digest.hex(), models))
    if differing:
        raise PlanError(
            f"{store.url} holds a run with other settings ({'; '.join(differing)}): give the old ones, "
            "as run/config.yaml in it has them, to go on with it, or another out=… to start anew"
        )
    return plan


def _make(store: Store, config: Config, models: Models) -> Plan:
    items = _read(config)
    digest, tally = _Digest(), _Tally()
    with store.open_write(LINES) as quarantine:

        def good() -> Iterator[CaptionPair]:
            for item in items:
                if isinstance(item, CaptionPair):
                    digest.add(item)
                    tally.good += 1
                    yield item
                else:
                    tally.bad(item)
                    quarantine.write(json.dumps(asdict(item), ensure_ascii=False).encode() + b"\n")

        count, files = units.write_units(store, units.cut(good(), config.unit_pairs))
    if not tally.good:
        raise PlanError(f"captions.path={config.captions.path} has no good line{tally.example()}")
    plan = Plan(count, tally.good, tally.quarantined, settings_of(config, digest.hex(), models), tuple(files))
    # The manifest comes last: a plan that has one is whole.
    store.write(MANIFEST, json.dumps(asdict(plan), indent=1, ensure_ascii=False).encode())
    return plan


def _read(config: Config) -> Iterator[CaptionPair | Quarantined]:
    source = config.captions
    prompts = p2p.load_prompts(config.model.path, config.model.revision)
    named = {name: column for name, column in asdict(source.fields).items() if column}
    return read_pairs(
        CaptionSource(
            kind=source.kind.value,
            path=source.path,
            split=source.split,
            limit=config.limit,
            fields=named or None,
        ),
        prompts.count,
        prompts.limit if config.edit.too_long is TooLong.error else sys.maxsize,
    )


@dataclass
class _Tally:
    good: int = 0
    quarantined: int = 0
    first: Quarantined | None = field(default=None)

    def bad(self, line: Quarantined) -> None:
        self.quarantined += 1
        self.first = self.first or line

    def example(self) -> str:
        if self.first is None:
            return ": it is empty"
        return f" of {self.quarantined}: the first bad one is line {self.first.line}, {self.first.reason}"


class _Digest:
    """SHA-256 over the pairs that are rendered, in their order: the same captions, wherever the file lies."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, item: CaptionPair | Quarantined) -> None:
        if isinstance(item, CaptionPair):
            self._hash.update(json.dumps([item.id, item.meta]).encode())

    def hex(self) -> str:
        return self._hash.hexdigest()
