"""Runs ``pairforge refilter``: plans the target, rewrites every unit under the new filter, then packs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from typing import Any

from rich.console import Console

import filters
from conf.schema import Filter, Keep
from filters import MeasureSpec
from pipeline.config import saved
from pipeline.dataset.funnel import Funnel
from pipeline.execution import run
from pipeline.output import OutputMode
from pipeline.planning.plan import LINES, MANIFEST, ORIGIN, VERSIONS, Plan, PlanError, load, record_of
from pipeline.planning.run_fingerprint import BY_CONTENT, difference
from pipeline.refilter import stored_unit
from pipeline.refilter.choose import Chooser
from pipeline.refilter.refilter_settings import RefilterSettings
from pipeline.refilter.stored_unit import StoredUnit
from pipeline.tasks.funnel_table import image_table
from pipeline.tasks.image_task import ImageTask
from stages.candidates.near_duplicates import EarlierSamples
from stages.candidates.scoring import make_measure_specs
from stages.records import Candidate
from stages.storage import plan_files
from stages.storage.commits import Commits, committed_units
from stages.storage.ownership import claim
from stages.storage.store import map_in_threads
from stages.write import write_unit

MISSING = "run/missing.jsonl"
THREADS = 8
Choice = tuple[StoredUnit, tuple[Candidate, ...], tuple[Candidate, ...]]
"""A unit, its candidates with their new verdicts, and the missing ones."""


def refilter_run(settings: RefilterSettings, mode: OutputMode = OutputMode.text) -> tuple[Funnel, int]:
    """Write the dataset that the new filter chooses. The same call resumes what was stopped.

    Returns the funnel, and the number of candidates that would be kept if their images were stored.

    Raises PlanError for an incomplete source or a target that holds something else, FilterError for a measure that does
    not load, DamageError.
    """
    source, target = settings.source, settings.target
    plan, done = load(source), committed_units(source)
    if len(done) < plan.units:
        raise PlanError(
            f"{source.url} is not complete ({len(done):,} of {plan.units:,} units): finish its run first"
        )
    with claim(target, "out2"):
        target.prove_exclusive()
        plan = _make_or_resume(settings, plan, Commits(source, range(plan.units)))
        saved.write(target, settings.new)
    _rewrite(settings, plan)
    task = ImageTask(settings.new)
    if settings.generate:
        return run.complete(task, plan, target, mode), 0
    commits = Commits(target, range(plan.units))
    missing = [json.dumps(candidate) for commit in commits for candidate in commit["missing"]]
    if missing:
        target.write(MISSING, "".join(line + "\n" for line in missing).encode())
    funnel = task.finish(plan, target, commits)
    console = Console(highlight=False, soft_wrap=True, quiet=mode is not OutputMode.text)
    console.print(image_table(funnel))
    console.print(f"\nThe dataset is in {target.url}: nothing was rendered for it")
    if missing:
        console.print(
            f"{len(missing):,} candidates would have been kept, but their images are not stored ({MISSING} has them). "
            "The next best replaces each. generate=true and another out2=… generates their units again. A run with "
            "keep=all-images stores every image"
        )
    return funnel, len(missing)


def _make_or_resume(settings: RefilterSettings, plan: Plan, commits: Iterable[dict[str, Any]]) -> Plan:
    """Return the plan of the target, made if there is none. ``plan`` and ``commits`` are the source's.

    Its settings are the source's with the new filter, the command's settings, and a digest of the source's parts.
    Raises PlanError if the target has another plan, FilterError for an invalid measure.
    """
    source, target = settings.source, settings.target
    planned = _planned_settings(settings, plan, commits)
    if not target.exists(MANIFEST):
        count, files = plan_files.write_units(target, plan_files.read_units(source, plan.units))
        # If another process was first, its plan is checked below.
        plan_files.create_manifest(
            target,
            record_of(Plan(count, plan.pairs, plan.quarantined, planned, tuple(files), images=plan.images)),
        )
    existing = load(target)
    differing = difference(existing.settings, planned)
    if differing:
        raise PlanError(
            f"{target.url} holds something else ({'; '.join(differing)}): give the old settings and output to resume "
            "it, or another out2=…"
        )
    for name in (LINES, VERSIONS):
        if source.exists(name) and not target.exists(name):
            target.write(name, source.read(name))
    return existing


def _rewrite(settings: RefilterSettings, plan: Plan) -> None:
    """Commit the units that have no commit; with ``generate`` only those that lack no image."""
    done = committed_units(settings.target)
    # Duplicates depend on all earlier units, so their choice starts at the first unit again.
    units = [unit for unit in range(plan.units) if settings.duplicates is not None or unit not in done]
    if not units:
        return
    chooser = Chooser(
        settings.new.filter,
        {
            spec.score: filters.load_measure(spec, settings.new.model.device)
            for spec in _new_measures(settings.old.filter, settings.new.filter)
        },
        None if settings.duplicates is None else EarlierSamples(settings.duplicates),
    )

    def choose() -> Iterator[Choice]:
        # One unit after the other, in the plan's order. Threads read and write meanwhile.
        read = map_in_threads(
            lambda unit: stored_unit.read(settings.source, unit), units, THREADS, 2 * THREADS
        )
        for stored in read:
            candidates, missing = chooser.choose(stored)
            if stored.unit.index not in done and not (missing and settings.generate):
                yield stored, candidates, missing

    def write(choice: Choice) -> None:
        stored, candidates, missing = choice
        files = stored_unit.encode(stored, candidates, settings.new, plan.model_fingerprint)
        write_unit(settings.target, files, stored_unit.record(stored, candidates, missing))

    for _ in map_in_threads(write, choose(), THREADS, 2 * THREADS):
        pass


def _planned_settings(
    settings: RefilterSettings, plan: Plan, commits: Iterable[dict[str, Any]]
) -> dict[str, Any]:
    new = settings.new
    planned = dict(plan.settings)
    planned["shards.samples"] = new.shards.samples
    planned |= {
        f"filter.{name}": value
        for name, value in asdict(new.filter).items()
        if ("filter", name) not in BY_CONTENT
    }
    planned["filter.measures"] = [
        {"is": content, "name": spec.score, "least": measure.least, "most": measure.most}
        for content, spec, measure in zip(
            _measure_fingerprints(settings, plan),
            make_measure_specs(new.filter),
            new.filter.measures,
            strict=True,
        )
    ]
    planned.pop("keep", None)
    if new.keep is not Keep.kept:
        planned["keep"] = new.keep.value
    parts = [{kind: file["sha256"] for kind, file in sorted(c["part"].items())} for c in commits]
    planned[ORIGIN] = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    planned["refilter.duplicates"], planned["refilter.generate"] = settings.duplicates, settings.generate
    return planned


def _measure_fingerprints(settings: RefilterSettings, plan: Plan) -> list[str]:
    """Return the fingerprint of each measure. Measures of the run have it in the plan: their models may be gone."""
    planned = [measure["is"] for measure in plan.settings.get("filter.measures", [])]
    known = dict(zip(map(_without_limits, make_measure_specs(settings.old.filter)), planned, strict=True))
    return [
        known.get(_without_limits(spec)) or filters.measure_fingerprint(spec)
        for spec in make_measure_specs(settings.new.filter)
    ]


def _without_limits(spec: MeasureSpec) -> MeasureSpec:
    return replace(spec, name=spec.score, bounds=filters.Bounds())


def _new_measures(old: Filter, new: Filter) -> list[MeasureSpec]:
    """Return the measures of ``new`` that the run did not take."""
    taken = {_without_limits(spec) for spec in make_measure_specs(old)}
    return [spec for spec in make_measure_specs(new) if _without_limits(spec) not in taken]
