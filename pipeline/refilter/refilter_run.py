"""Runs ``pairforge refilter``: rewrites every unit under the new filter, then packs."""

from __future__ import annotations

import json
from collections.abc import Iterator

from rich.console import Console

import filters
from pipeline.config import saved
from pipeline.execution import run
from pipeline.planning.plan import Plan, PlanError, load
from pipeline.refilter import stored_unit
from pipeline.refilter.choose import Chooser
from pipeline.refilter.refilter_plan import make_or_resume, new_measures
from pipeline.refilter.refilter_settings import RefilterSettings
from pipeline.refilter.stored_unit import StoredUnit
from pipeline.tasks.funnel_table import image_table
from pipeline.tasks.image_task import ImageTask
from stages.candidates.near_duplicates import EarlierSamples
from stages.records import Candidate
from stages.storage.commits import committed_units, read_commits
from stages.storage.prefetch import ahead
from stages.write import write_unit

MISSING = "run/missing.jsonl"
THREADS = 8


def refilter_run(settings: RefilterSettings) -> None:
    """Write the dataset that the new filter chooses. The same call resumes what was stopped.

    Raises PlanError for an incomplete source or a target that holds something else, FilterError for a measure that does
    not load, PartError and DamageError.
    """
    source, target = settings.source, settings.target
    plan, done = load(source), committed_units(source)
    if len(done) < plan.units:
        raise PlanError(
            f"{source.url} is not complete ({len(done):,} of {plan.units:,} units): finish its run first"
        )
    target.prove_exclusive()
    plan = make_or_resume(settings, plan, list(read_commits(source, range(plan.units))))
    saved.write(target, settings.new)
    _rewrite(settings, plan)
    task = ImageTask(settings.new)
    if settings.generate:
        run.complete(task, plan, target)
        return
    commits = list(read_commits(target, range(plan.units)))
    missing = [json.dumps(candidate) for commit in commits for candidate in commit["missing"]]
    if missing:
        target.write(MISSING, "".join(line + "\n" for line in missing).encode())
    console = Console(highlight=False, soft_wrap=True)
    console.print(image_table(task.finish(plan, target, commits)))
    console.print(f"\nThe dataset is in {target.url}: nothing was rendered for it")
    if missing:
        console.print(
            f"{len(missing):,} candidates would have been kept, but their images are not stored ({MISSING} has them). "
            "The next best replaces each. generate=true and another out2=… generates their units again. A run with "
            "keep=all-images stores every image"
        )


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
            for spec in new_measures(settings.old.filter, settings.new.filter)
        },
        None if settings.duplicates is None else EarlierSamples(settings.duplicates),
    )

    def choose() -> Iterator[tuple[StoredUnit, tuple[Candidate, ...], tuple[Candidate, ...]]]:
        # One unit after the other, in the plan's order. Threads read and write meanwhile.
        read = ahead(lambda unit: stored_unit.read(settings.source, unit), units, THREADS, 2 * THREADS)
        for stored in read:
            candidates, missing = chooser.choose(stored)
            if stored.unit.index not in done and not (missing and settings.generate):
                yield stored, candidates, missing

    def write(choice: tuple[StoredUnit, tuple[Candidate, ...], tuple[Candidate, ...]]) -> None:
        stored, candidates, missing = choice
        files = stored_unit.encode(stored, candidates, settings.new, plan.model_fingerprint)
        write_unit(settings.target, files, stored_unit.record(stored, candidates, missing))

    for _ in ahead(write, choose(), THREADS, 2 * THREADS):
        pass
