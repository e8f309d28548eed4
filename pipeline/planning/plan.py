"""Plans a run: cuts units in input order and records them with every setting that changes results."""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, Protocol

from conf.pairs import Settings
from pipeline.errors import TabledError
from pipeline.planning.run_fingerprint import FORMAT, Change, Models, changes
from stages.records import CaptionPair, Quarantined
from stages.storage import plan_files
from stages.storage.plan_files import Extension
from stages.storage.store import DamageError, Store

MANIFEST = plan_files.MANIFEST
LINES = "quarantine/lines.jsonl"
VERSIONS = "run/versions.json"
EXAMPLES = 3
"""Bad records that an error shows."""
CELL = 50
"""Characters of a cell in the table of differing settings."""
ORIGIN = "refilter.of"
"""The setting of a refiltered output that names the output it was chosen from."""


class PlanError(TabledError):
    """The output has another plan or none, or there is nothing to plan: one line with the fix."""


@dataclass(frozen=True)
class Plan:
    """``settings`` holds every setting that changes results; ``files`` the name and SHA-256 of each file of units.

    ``source``: digest of the input's bytes, "" if it has none. The counts include all ``extensions``. ``images``: some
    caption pair has an image.
    """

    units: int
    pairs: int
    quarantined: int
    settings: dict[str, Any]
    files: tuple[tuple[str, str], ...]
    source: str = ""
    images: bool = False
    extensions: tuple[Extension, ...] = ()

    @property
    def model_fingerprint(self) -> str:
        return str(self.settings["model.fingerprint"])

    @property
    def is_refiltered(self) -> bool:
        """True for an output that ``pairforge refilter`` made."""
        return ORIGIN in self.settings

    @property
    def duplicates(self) -> int | None:
        """Bits in which samples of two caption pairs must differ, if ``pairforge refilter duplicates=…`` made this."""
        bits = self.settings.get("refilter.duplicates")
        return None if bits is None else int(bits)

    @property
    def named_files(self) -> Iterator[tuple[str, str]]:
        """The name and SHA-256 of every file of units, extensions included."""
        yield from self.files
        for extension in self.extensions:
            yield from extension.files


class PlanSource(Protocol):
    """The run that a plan is made for."""

    @property
    def config(self) -> Settings:
        """The settings of the run."""

    def read(self) -> Iterator[CaptionPair | Quarantined]:
        """Yield the input in its order, block by block: the pairs to plan and the lines to quarantine."""

    def check_images(self) -> None:
        """Raise ValueError if the run cannot edit images. Called for the first caption pair with an image."""

    def source_digest(self) -> str:
        """SHA-256 of the input files' bytes and of how they are read; "" for an input that is no local file.

        Equal digests give equal pairs if the model is the same, so the input need not be read again.
        """

    def identify(self) -> Models:
        """Return the fingerprints of the run's models. Raises ValueErrors of p2p, filters and stages."""

    def settings(self, captions_sha256: str, models: Models) -> dict[str, Any]:
        """Return every setting that changes results, by its dotted name."""


def make_or_resume(store: Store, source: PlanSource) -> Plan:
    """Return the output's plan: made if there is none, extended if pairs were appended and ``extend=true``.

    Raises PlanError if the output was planned under settings that make other results, or if no caption pair is
    good; CaptionsError, ModelError and FilterError for an input or a model that is missing.
    """
    plan = load(store) if store.exists(MANIFEST) else None
    models = source.identify()
    return _resume(store, source, models, plan) if plan else _make(store, source, models)


def load(store: Store) -> Plan:
    """Load the output's plan with its extensions.

    Raises PlanError if there is none, it is damaged or another version made it, DamageError for a damaged extension.
    """
    if not store.exists(MANIFEST):
        raise PlanError(f"{store.url} is not the output of a run: it has no {MANIFEST}")
    try:
        record = store.read_record(MANIFEST)
    except DamageError as error:
        raise PlanError(
            f"{store.path(MANIFEST)} is not what was written (cut off, or edited), and a damaged plan cannot be used: "
            "restore the file from a copy, or give another out=… to start anew"
        ) from error
    planned_format = record["settings"].get("format")
    if planned_format != FORMAT:
        version = "PairForge 0.1" if planned_format == 1 else "another version of PairForge"
        raise PlanError(
            f"{store.url} was planned by {version}, and this version cannot use it: "
            f"give another out=…, or use {version} for this output"
        )
    plan = Plan(**{**record, "files": tuple((name, digest) for name, digest in record["files"])})
    for extension in plan_files.read_extensions(store):
        about = extension.about
        plan = Plan(
            units=extension.first + extension.units,
            pairs=about["pairs"],
            quarantined=about["quarantined"],
            settings={**plan.settings, "captions": about["captions"]},
            files=plan.files,
            source=about["source"],
            images=plan.images,
            extensions=(*plan.extensions, extension),
        )
    return plan


def _resume(store: Store, source: PlanSource, models: Models, plan: Plan) -> Plan:
    file_digest = source.source_digest()
    if plan.is_refiltered:
        raise PlanError(
            f"{store.url} was made by pairforge refilter, which alone can resume it: give a run another out=…"
        )
    if file_digest and file_digest == plan.source and models.generator == plan.model_fingerprint:
        captions, more, pair = plan.settings["captions"], 0, tuple[Change, ...]()
    else:
        captions, more, pair = _compare(store, source, plan)
    settings = source.settings(captions, models)
    differing = [*pair, *changes({**plan.settings, "captions": captions}, settings)]
    if more and source.config.extend and not differing:
        return _extend(store, source, models, plan, file_digest)
    if more and not differing:
        raise PlanError(
            f"{store.url} was planned with the first {plan.pairs:,} of these caption pairs, and {more:,} were "
            "appended: give extend=true to add them to it (nothing is made twice), or another out=… to start anew"
        )
    if differing:
        # The line itself names a single field, a table names several.
        (name, before, now), *others = differing
        single = "" if others else f" ({name} was {before}, is {now})"
        raise PlanError(
            f"{store.url} holds a run with other settings{single}: give the old ones, which are in its "
            "run/config.yaml, to resume it, or another out=… to start anew",
            [("setting", "planned", "now"), *(tuple(map(_shorten, change)) for change in differing)]
            if others
            else (),
        )
    if plan.quarantined and _lines_written(store) != plan.quarantined:
        # The driver that planned was killed before it wrote them.
        with _Intake(source) as intake:
            for _ in intake:
                pass
            intake.write_quarantine(store)
    return plan


def _compare(store: Store, source: PlanSource, plan: Plan) -> tuple[str, int, tuple[Change, ...]]:
    """Return the digest of the present pairs, the number of appended pairs, and the first differing pair, if any."""
    planned = ""
    with _Intake(source) as intake:
        for _ in intake:
            if intake.pairs == plan.pairs:
                planned = intake.digest()
    if planned == plan.settings["captions"]:
        # The scores of a run with images have columns of their own.
        differs = intake.images and not plan.images
        return intake.digest(), intake.pairs - plan.pairs, (("images", "none", "some"),) if differs else ()
    old = (pair for unit in plan_files.read_units(store, plan.units) for pair in unit.pairs)
    new = (item for item in source.read() if isinstance(item, CaptionPair))
    numbered = enumerate(itertools.zip_longest(old, new), 1)
    number, before, now = next((k, a, b) for k, (a, b) in numbered if a != b)
    return intake.digest(), 0, ((f"caption pair {number:,}", _pair_text(before), _pair_text(now)),)


def _make(store: Store, source: PlanSource, models: Models) -> Plan:
    file_digest, config = source.source_digest(), source.config
    with _Intake(source) as intake:
        count, files = plan_files.write_units(store, plan_files.cut(intake, config.unit_pairs))
        if not intake.pairs:
            raise PlanError(f"captions.path={config.captions.path} has no good line{intake.examples()}")
        settings = source.settings(intake.digest(), models)
        plan = Plan(
            count, intake.pairs, intake.quarantined, settings, tuple(files), file_digest, intake.images
        )
        # A plan is complete when it has a manifest. If another driver was first, its plan counts and this one is
        # dropped. Files with a fixed name are written after that.
        if not plan_files.create_manifest(store, record_of(plan)):
            return _resume(store, source, models, load(store))
        intake.write_quarantine(store)
    return plan


def record_of(plan: Plan) -> dict[str, Any]:
    """The manifest of ``plan``, without its extensions."""
    record = {name: value for name, value in asdict(plan).items() if name != "extensions"}
    return record if plan.images else {name: record[name] for name in record if name != plan_files.IMAGES}


def _extend(store: Store, source: PlanSource, models: Models, plan: Plan, file_digest: str) -> Plan:
    """Add the appended pairs to the plan as units of their own. Planned units stay as they are."""
    with _Intake(source) as intake:
        appended = itertools.islice(intake, plan.pairs, None)
        cut = plan_files.cut(appended, source.config.unit_pairs, plan.units)
        count, files = plan_files.write_units(store, cut, "more")
        about = {
            "pairs": intake.pairs,
            "quarantined": intake.quarantined,
            "captions": intake.digest(),
            "source": file_digest,
        }
        extension = Extension(plan.units, count, tuple(files), about)
        # As with the manifest: files that no record names are not part of the plan.
        if plan_files.add_extension(store, len(plan.extensions) + 1, extension):
            intake.write_quarantine(store)
    return _resume(store, source, models, load(store))


def _lines_written(store: Store) -> int:
    return store.read(LINES).count(b"\n") if store.exists(LINES) else 0


def _pair_text(pair: CaptionPair | None) -> str:
    return (
        "not there"
        if pair is None
        else " / ".join(
            (pair.input, pair.edit, pair.output, pair.meta, *([pair.image] if pair.image else []))
        )
    )


def _shorten(text: str) -> str:
    return text if len(text) <= CELL else f"{text[: CELL - 1]}…"


class _Intake:
    """The input while it is read: yields its pairs, takes their digest, keeps its bad records for the quarantine."""

    def __init__(self, source: PlanSource) -> None:
        self.pairs = self.quarantined = 0
        self.images = False
        self._source = source
        self._first_bad: list[Quarantined] = []
        self._digest = hashlib.sha256()
        self._bad_records = tempfile.TemporaryFile()  # noqa: SIM115, __exit__ closes it

    def __enter__(self) -> _Intake:
        return self

    def __exit__(self, *error: object) -> None:
        self._bad_records.close()

    def __iter__(self) -> Iterator[CaptionPair]:
        for item in self._source.read():
            if isinstance(item, CaptionPair):
                self.pairs += 1
                if item.image and not self.images:
                    self._source.check_images()
                    self.images = True
                self._digest.update(f'["{item.id}", {quoted(item.meta)}]'.encode())
                yield item
            else:
                self.quarantined += 1
                if len(self._first_bad) < EXAMPLES:
                    self._first_bad.append(item)
                self._bad_records.write(json.dumps(asdict(item), ensure_ascii=False).encode() + b"\n")

    def digest(self) -> str:
        """Returns the SHA-256 of the pairs so far, in their order, wherever their file lies."""
        return self._digest.hexdigest()

    def write_quarantine(self, store: Store) -> None:
        self._bad_records.seek(0)
        with store.open_write(LINES) as quarantine:
            shutil.copyfileobj(self._bad_records, quarantine)

    def examples(self) -> str:
        """Returns the end of an error for an input without a pair: its first bad records."""
        if not self._first_bad:
            return ": it is empty"
        bad = "; ".join(f"line {bad.line}, {bad.reason}" for bad in self._first_bad)
        return f" of {self.quarantined:,}: the first {'ones are' if self.quarantined > 1 else 'one is'} {bad}"
