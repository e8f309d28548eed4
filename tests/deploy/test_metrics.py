"""Grafana's dashboard and Prometheus' configuration speak of what the code exports, and of nothing else."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import promql_parser
import pytest
import yaml
from ray._private.ray_constants import PROMETHEUS_SERVICE_DISCOVERY_FILE

from pipeline.execution import metrics
from stages.records import UnitResult
from tests.fire.fire import ROOT

DASHBOARD = json.loads((ROOT / "deploy" / "grafana.json").read_text())
PANELS = DASHBOARD["panels"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel["targets"]]
SERIES = {name: series for series in metrics.SERIES for name in series.exported}
RAYS_OWN = {"run", "NodeAddress"}


def parts(node: Any) -> Iterator[Any]:
    """An expression and all that it is made of."""
    yield node
    for name in ("expr", "lhs", "rhs", "vector_selector", "vs"):
        child = getattr(node, name, None)
        if child is not None:
            yield from parts(child)
    for argument in getattr(node, "args", None) or []:
        yield from parts(argument)


def parsed(expression: str) -> list[Any]:
    # A variable of the dashboard is a plain string to Prometheus.
    return list(parts(promql_parser.parse(expression)))


def selectors(expression: str) -> Iterator[promql_parser.VectorSelector]:
    return (node for node in parsed(expression) if isinstance(node, promql_parser.VectorSelector))


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_expression_is_promql_over_known_series_and_labels(expression: str):
    found = list(selectors(expression))
    assert {selector.name for selector in found} == set(re.findall(r"ray_\w+", expression))
    known = set()
    for selector in found:
        labels = {"le"} if selector.name.endswith("_bucket") else set()
        own = {*SERIES[selector.name].labels, *RAYS_OWN, *labels}
        assert {matcher.name for matcher in selector.matchers.matchers} <= own
        assert "run" in {matcher.name for matcher in selector.matchers.matchers}
        known |= own
    for node in parsed(expression):
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            assert set(node.modifier.labels) <= known


def test_every_series_has_its_place():
    shown = {selector.name for expression in EXPRESSIONS for selector in selectors(expression)}
    assert {SERIES[name].name for name in shown} == {series.name for series in metrics.SERIES}


def test_stages_report_the_activity_that_utilisation_counts():
    activities = re.findall(r'activity="(\w+)"', " ".join(EXPRESSIONS))
    assert activities
    assert all(activity in (UnitResult.__doc__ or "") for activity in activities)


def test_panels_have_each_an_id_a_name_and_room():
    assert max(Counter(panel["id"] for panel in PANELS).values()) == 1
    assert max(Counter(panel["title"] for panel in PANELS).values()) == 1
    places = [panel["gridPos"] for panel in PANELS]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for a, b in combinations(places, 2):
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        assert beside or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
    for panel in PANELS:
        ids = [target["refId"] for target in panel["targets"]]
        assert len(set(ids)) == len(ids)
        assert panel["type"] in ("stat", "timeseries")


def test_variables_are_declared_and_legends_use_kept_labels():
    declared = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    assert set(re.findall(r"\$\{?(\w+)", json.dumps(DASHBOARD))) == declared
    (query,) = (v["query"]["query"] for v in DASHBOARD["templating"]["list"] if v["type"] == "query")
    name, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", query).groups()
    assert name in SERIES
    assert label == "run"
    for panel in PANELS:
        for target in panel["targets"]:
            for label in re.findall(r"{{(\w+)}}", target["legendFormat"]):
                assert f"by ({label})" in target["expr"]


def test_prometheus_reads_the_list_that_ray_writes():
    config = yaml.safe_load((ROOT / "deploy" / "prometheus.yml").read_text())
    assert set(config) == {"global", "scrape_configs"}
    jobs = {job.pop("job_name"): job for job in config["scrape_configs"]}
    assert jobs == {
        "ray": {"file_sd_configs": [{"files": [f"/tmp/ray/{PROMETHEUS_SERVICE_DISCOVERY_FILE}"]}]},
        "pairforge": {"static_configs": [{"targets": ["localhost:8080"]}]},
    }
