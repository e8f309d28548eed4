"""The plan of an output that is chosen again: the units of the one it comes from, under the new filter."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import filters
from conf.schema import Filter, Keep
from filters import MeasureSpec
from pipeline.planning.plan import LINES, MANIFEST, ORIGIN, VERSIONS, Plan, PlanError, load, record_of
from pipeline.planning.run_fingerprint import BY_CONTENT, difference
from pipeline.refilter.arguments import Asked
from stages.candidates.scoring import make_measure_specs
from stages.storage import plan_files


def make_or_resume(asked: Asked, plan: Plan, commits: Sequence[dict[str, Any]]) -> Plan:
    """The plan of ``asked.target``, made if there is none. ``plan`` and ``commits`` are the source's.

    Its settings are the source's with the new filter, what was asked, and a digest of the parts that are chosen from.
    Raises PlanError if the target has another plan, FilterError for a measure that cannot be.
    """
    settings = _settings(asked, plan, commits)
    if not asked.target.exists(MANIFEST):
        count, files = plan_files.write_units(
            asked.target, plan_files.lines_of(plan_files.read_units(asked.source, plan.units))
        )
        # If another was first, its plan is looked at as if it had always been there.
        plan_files.create_manifest(
            asked.target, record_of(Plan(count, plan.pairs, plan.quarantined, settings, tuple(files)))
        )
    made = load(asked.target)
    differing = difference(made.settings, settings)
    if differing:
        raise PlanError(
            f"{asked.target.url} holds something else ({'; '.join(differing)}): give the old settings and output "
            "to go on with it, or another out2=… to start anew"
        )
    for name in (LINES, VERSIONS):
        if asked.source.exists(name) and not asked.target.exists(name):
            asked.target.write(name, asked.source.read(name))
    return made


def new_measures(old: Filter, new: Filter) -> list[MeasureSpec]:
    """Those that the run did not take."""
    taken = {_taken(spec) for spec in make_measure_specs(old)}
    return [spec for spec in make_measure_specs(new) if _taken(spec) not in taken]


def _settings(asked: Asked, plan: Plan, commits: Sequence[dict[str, Any]]) -> dict[str, Any]:
    new = asked.new
    settings = dict(plan.settings)
    settings["shards.samples"] = new.shards.samples
    settings |= {
        f"filter.{name}": value
        for name, value in asdict(new.filter).items()
        if ("filter", name) not in BY_CONTENT
    }
    settings["filter.measures"] = [
        {"is": content, "name": spec.score, "least": measure.least, "most": measure.most}
        for content, spec, measure in zip(
            _contents(asked, plan), make_measure_specs(new.filter), new.filter.measures, strict=True
        )
    ]
    settings.pop("keep", None)
    if new.keep is not Keep.kept:
        settings["keep"] = new.keep.value
    parts = [{kind: file["sha256"] for kind, file in sorted(c["part"].items())} for c in commits]
    settings[ORIGIN] = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    settings["refilter.duplicates"], settings["refilter.generate"] = asked.duplicates, asked.generate
    return settings


def _contents(asked: Asked, plan: Plan) -> list[str]:
    """What each measure is: of those that the run took by its plan, as their models need not be here any more."""
    planned = [measure["is"] for measure in plan.settings.get("filter.measures", [])]
    known = dict(zip(map(_taken, make_measure_specs(asked.old.filter)), planned, strict=True))
    return [
        known.get(_taken(spec)) or filters.measure_fingerprint(spec)
        for spec in make_measure_specs(asked.new.filter)
    ]


def _taken(spec: MeasureSpec) -> MeasureSpec:
    return replace(spec, name=spec.score, bounds=filters.Bounds())
