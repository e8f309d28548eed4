"""Plans a refiltered output: the units of the output that is read, under the new filter."""

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
from pipeline.refilter.refilter_settings import RefilterSettings
from stages.candidates.scoring import make_measure_specs
from stages.storage import plan_files


def make_or_resume(settings: RefilterSettings, plan: Plan, commits: Sequence[dict[str, Any]]) -> Plan:
    """Return the plan of the target, made if there is none. ``plan`` and ``commits`` are the source's.

    Its settings are the source's with the new filter, the command's settings, and a digest of the source's parts.
    Raises PlanError if the target has another plan, FilterError for an invalid measure.
    """
    source, target = settings.source, settings.target
    planned = _planned_settings(settings, plan, commits)
    if not target.exists(MANIFEST):
        count, files = plan_files.write_units(
            target, plan_files.lines_of(plan_files.read_units(source, plan.units))
        )
        # If another process was first, its plan is checked below as an older one is.
        plan_files.create_manifest(
            target, record_of(Plan(count, plan.pairs, plan.quarantined, planned, tuple(files)))
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


def new_measures(old: Filter, new: Filter) -> list[MeasureSpec]:
    """Return the measures of ``new`` that the run did not take."""
    taken = {_without_limits(spec) for spec in make_measure_specs(old)}
    return [spec for spec in make_measure_specs(new) if _without_limits(spec) not in taken]


def _planned_settings(
    settings: RefilterSettings, plan: Plan, commits: Sequence[dict[str, Any]]
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
