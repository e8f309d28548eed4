"""The plan: units cut in input order before anything runs, written down with all that results depend on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import p2p
from conf.schema import Config
from pipeline.fingerprint import Models, difference, identify, settings_of
from stages import captions, units
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


def _resume(store: Store, config: Config, models: Models) -> Plan:
    record = json.loads(store.read(MANIFEST))
    plan = Plan(**{**record, "files": tuple(record["files"])})
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
    digest, tally = _Digest(), _Tally()
    with store.open_write(LINES) as quarantine:

        def good() -> Iterator[CaptionPair]:
            reason_against = _checker(config)
            for item in _read(config):
                digest.add(item)
                rejected = item if isinstance(item, Quarantined) else reason_against(item)
                if rejected is None:
                    assert isinstance(item, CaptionPair)
                    tally.good += 1
                    yield item
                else:
                    tally.bad(rejected)
                    line = json.dumps(asdict(rejected), ensure_ascii=False) + "\n"
                    # What is not UTF-8 comes as lone surrogates; the record must be UTF-8 all the same.
                    quarantine.write(line.encode("utf-8", "backslashreplace"))

        count, files = units.write_units(store, units.cut(good(), config.unit_pairs))
    if not tally.good:
        raise PlanError(f"captions.path={config.captions.path} has no good line{tally.example()}")
    plan = Plan(count, tally.good, tally.quarantined, settings_of(config, digest.hex(), models), tuple(files))
    # The manifest comes last: a plan that has one is whole.
    store.write(MANIFEST, json.dumps(asdict(plan), indent=1, ensure_ascii=False).encode())
    return plan


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
    """SHA-256 over what the reader yields: the same captions, wherever the file lies."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, item: CaptionPair | Quarantined) -> None:
        record = asdict(item)
        record.pop("file", None)
        self._hash.update(json.dumps(record).encode() + b"\n")

    def hex(self) -> str:
        return self._hash.hexdigest()


def _read(config: Config) -> Iterator[CaptionPair | Quarantined]:
    source = config.captions
    named = {name: column for name, column in asdict(source.fields).items() if column}
    return captions.open_captions(
        captions.CaptionSource(
            kind=source.kind.value,
            path=source.path,
            split=source.split,
            limit=config.limit,
            fields=named or None,
        )
    )


def _checker(config: Config) -> Callable[[CaptionPair], Quarantined | None]:
    """What speaks against a well-formed pair: its length under this model, and having come before."""
    prompts = p2p.load_prompts(config.model.path, config.model.revision)
    seen: set[int] = set()

    def reason_against(pair: CaptionPair) -> Quarantined | None:
        reason = captions.check(pair, prompts.count, prompts.limit)
        name = int(pair.id, 16)
        if not reason and name in seen:
            reason = "the same caption pair came before"
        seen.add(name)
        text = json.dumps([pair.input, pair.edit, pair.output], ensure_ascii=False)
        return Quarantined(config.captions.path, pair.line, reason, text) if reason else None

    return reason_against
