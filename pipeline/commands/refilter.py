"""``pairforge refilter OUT filter.clip_sim_dir=0.25 out2=FOLDER``: choose again, without generation."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from rich.console import Console

import filters
from pipeline.config import environment, saved
from pipeline.planning.plan import Plan, PlanError, load
from pipeline.refilter import arguments as arguments_of
from pipeline.refilter import rewrite, stored_unit
from pipeline.refilter.arguments import Asked
from pipeline.refilter.choose import Chooser
from pipeline.refilter.refilter_plan import make_or_resume, new_measures
from pipeline.refilter.stored_unit import Held
from stages.candidates.near_duplicates import EarlierSamples
from stages.records import Candidate
from stages.storage.commits import committed_units, read_commits
from stages.storage.prefetch import ahead
from stages.write import write_unit

MISSING = "run/missing.jsonl"
THREADS = 8

Chosen = tuple[Held, tuple[Candidate, ...], tuple[Candidate, ...]]


def refilter(out: str, settings: Sequence[str]) -> int:
    """Choose again under other thresholds, without generation.

    out2=DIR             the new dataset; OUT stays as it is
    filter.…=…           the new thresholds, like filter.clip_sim_dir=0.25
    duplicates=N         drop samples that nearly repeat an earlier caption pair's: bits of 192
    generate=true        generate the units again that lack an image which is now kept
    shards.samples=N, keep=kept|all-images

    The same command resumes what was stopped.

    Raises ConfigError for settings that need generation, PlanError for an incomplete output or a target that holds
    something else, FilterError for a measure that does not load, PartError and DamageError.
    """
    asked = arguments_of.read(out, settings)
    plan = load(asked.source)
    done = committed_units(asked.source)
    if len(done) < plan.units:
        raise PlanError(
            f"{asked.source.url} is not complete ({len(done):,} of {plan.units:,} units): end its run first"
        )
    commits = list(read_commits(asked.source, range(plan.units)))
    environment.prepare(asked.new)
    # Imported here, because the libraries read the environment when they are imported.
    from pipeline.execution import run
    from pipeline.tasks.funnel_table import image_table
    from pipeline.tasks.image_task import ImageTask

    task = ImageTask(asked.new)
    asked.target.prove_exclusive()
    plan = make_or_resume(asked, plan, commits)
    saved.write(asked.target, asked.new)
    _rewrite(asked, plan)
    if asked.generate:
        run.complete(task, plan, asked.target)
        return 0
    commits = list(read_commits(asked.target, range(plan.units)))
    missing = [json.dumps(one) for commit in commits for one in commit["missing"]]
    if missing:
        asked.target.write(MISSING, "".join(line + "\n" for line in missing).encode())
    console = Console(highlight=False, soft_wrap=True)
    console.print(image_table(task.finish(plan, asked.target, commits)))
    console.print(f"\nThe dataset is in {asked.target.url}: nothing was rendered for it")
    if missing:
        console.print(
            f"{len(missing):,} candidates would have been kept and have no image stored ({MISSING} lists them): the "
            "next best stands in for each. generate=true and another out2=… makes their units again; a run with "
            "keep=all-images stores what any thresholds may keep"
        )
    return 0


def _rewrite(asked: Asked, plan: Plan) -> None:
    """Commit every unit that is not; with ``generate`` those that lack no image."""
    done = committed_units(asked.target)
    # What was kept before a unit decides in it, so who looks for duplicates across pairs starts at the first again.
    units = [unit for unit in range(plan.units) if asked.duplicates is not None or unit not in done]
    if not units:
        return
    chooser = Chooser(
        asked.new.filter,
        {
            spec.score: filters.load_measure(spec, asked.new.model.device)
            for spec in new_measures(asked.old.filter, asked.new.filter)
        },
        None if asked.duplicates is None else EarlierSamples(asked.duplicates),
    )

    def chosen() -> Iterator[Chosen]:
        # One after the other, in the plan's order; what is read and written waits beside.
        for unit in ahead(lambda index: stored_unit.read(asked.source, index), units, THREADS, 2 * THREADS):
            candidates, missing = chooser(unit)
            if unit.unit.index not in done and not (missing and asked.generate):
                yield unit, candidates, missing

    def write(choice: Chosen) -> None:
        unit, candidates, missing = choice
        files = rewrite.files(unit, candidates, asked.new, plan.model_fingerprint)
        write_unit(asked.target, files, rewrite.record(unit, candidates, missing))

    for _ in ahead(write, chosen(), THREADS, 2 * THREADS):
        pass
