"""The page of a report: numbers, charts and pictures, rendered into one HTML file."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.dataset.funnel import SCORE_MEANINGS, Funnel, caption_steps, image_steps, list_reasons
from pipeline.report import charts, examples, statistics
from pipeline.report.gallery import Gallery, Thumbnails, build_gallery
from pipeline.report.report_data import SHOWN, ReportData, read_report_data
from pipeline.report.template import REPORT, template
from stages.candidates.selection import model_name
from stages.records import instruction_kind
from stages.storage.store import Store

NO_PICTURES = (
    "run/parts was deleted, so this page has no pictures: the shards hold those of the kept samples."
)


def write_report(store: Store, written: Funnel | None = None) -> bool:
    """Write report/index.html; returns whether the pictures are still there.

    ``written`` counts the captions, if the caption pairs were written first. Raises as ``read_report_data`` and
    ``build_gallery`` do.
    """
    data = read_report_data(store)
    page = render(data, build_gallery(store, data, Thumbnails()), written)
    store.write(REPORT, page.encode())
    return data.pictures


def render(data: ReportData, gallery: Gallery, written: Funnel | None = None) -> str:
    """The whole page."""
    cards, finished = gallery.cards, data.units_done == data.plan.units
    rule = NO_PICTURES
    if data.pictures:
        rule = examples.describe_rule(
            kept=len(cards["kept"]),
            pairs_kept=data.funnel.pairs_kept,
            drawn_from=gallery.drawn_from,
            missed=gallery.missed,
        )
    if data.stride > 1:
        rule = f"Charts and pictures are drawn from {len(data.commits):,} units, evenly spread. {rule}"
    return template("report.html").render(
        title=model_name(data.config),
        finished=finished,
        live=data.is_live and not finished,
        funnel=data.funnel,
        units=data.plan.units,
        done=data.units_done,
        steps=image_steps(data.funnel),
        written=caption_steps(written) if written else [],
        losses=losses(data.funnel),
        **_charts(data),
        cards=cards,
        rule=rule,
        tables=[table for table in failure_tables(data) if table["records"]],
        made=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    )


def losses(funnel: Funnel) -> list[tuple[str, int, float]]:
    """(text, count, share of all candidates) of each reason for a rejection, in the order of the checks."""
    return [
        (text, funnel.rejected[reason], funnel.rejected[reason] / funnel.candidates)
        for reason, text in list_reasons(funnel).items()
        if funnel.rejected.get(reason)
    ]


def failure_tables(data: ReportData) -> tuple[dict[str, Any], dict[str, Any]]:
    """The failed pairs with their captions, and the quarantined lines."""
    failed = [
        {"reason": failure["reason"], "input": pair.input, "edit": pair.edit}
        for commit in data.commits
        for failure in commit["failures"]
        for pair in [data.pairs[failure["pair_id"]]]
    ]
    lines, total = data.quarantined, data.funnel.quarantined
    return (
        build_table("failed pairs", ("reason", "input", "edit"), failed, data.funnel.failed),
        build_table("lines that could not be used", ("line", "reason", "text"), lines, total),
    )


def build_table(
    heading: str, columns: Sequence[str], failures: Sequence[dict[str, Any]], total: int
) -> dict[str, Any]:
    """A table that the script shows page by page: all failures, or of more than `SHOWN` a sample evenly spread.

    ``total`` is their number by the plan and the commits.
    """
    count = min(len(failures), SHOWN)
    shown = [failures[index * len(failures) // count] for index in range(count)]
    records = [[str(record[name]) for name in columns] for record in shown]
    return {"heading": heading, "columns": columns, "records": records, "total": total}


def _charts(data: ReportData) -> dict[str, Any]:
    """The charts and the numbers in their descriptions. A chart of one value or one bar is left out."""
    minutes, rate = statistics.throughput(data.committed_at, data.committed_pairs)
    throughput = {}
    if len(minutes) > 1:
        svg = charts.plot_throughput(minutes, rate)
        throughput = {"svg": svg, "minutes": minutes.max(), "peak": rate.max()}
    if not data.scores.num_rows:
        return {"throughput": throughput, "rates": [], "trade_off": {}, "histograms": []}
    taus, image, direction = (
        data.scores[name].to_numpy() for name in ("p2p_threshold", "clip_sim_image", "clip_sim_dir")
    )
    spreads = statistics.quartiles_by_tau(taus, image), statistics.quartiles_by_tau(taus, direction)
    trade_off = {}
    if len(spreads[0]) > 1:
        points = list(zip(*spreads, strict=True))
        svg, path = charts.plot_trade_off(*spreads), charts.plot_path(*spreads)
        trade_off = {"points": points, "svg": svg, "path": path}
    return {
        "throughput": throughput,
        "rates": [
            (name, rates, charts.plot_rates(rates, name))
            for name, rates in _keep_rates(data).items()
            if len(rates) > 1
        ],
        "trade_off": trade_off,
        "histograms": [
            _histogram(data, name, meaning)
            for name, meaning in SCORE_MEANINGS.items()
            if len(data.scores[name].unique()) > 1
        ],
    }


def _keep_rates(data: ReportData) -> dict[str, list[statistics.Rate]]:
    """The keep rates over τ, guidance and, if the pairs have any, kinds of edit."""
    scores, kept = data.scores, data.scores["kept"].to_numpy()
    rates = {
        "τ": statistics.rate_by_value(scores["p2p_threshold"].to_numpy(), kept),
        "guidance": statistics.rate_by_value(scores["cfg_scale"].to_numpy(), kept),
    }
    kinds = {pair_id: instruction_kind(pair) for pair_id, pair in data.pairs.items()}
    if any(kinds.values()):
        # Sums by pair first: there may be millions of candidates.
        by_pair = scores.group_by("pair_id").aggregate([("kept", "sum"), ("kept", "count")])
        names = [kinds[pair_id] for pair_id in by_pair["pair_id"].to_pylist()]
        counts = by_pair["kept_sum"].to_pylist(), by_pair["kept_count"].to_pylist()
        rates["kind of edit"] = statistics.rate_by_word(zip(names, *counts, strict=True))
    return rates


def _histogram(data: ReportData, name: str, meaning: str) -> dict[str, Any]:
    values, limit = data.scores[name].to_numpy(), float(getattr(data.config.filter, name))
    return {
        "name": name,
        "meaning": meaning,
        "limit": limit,
        "median": np.median(values),
        "reached": np.mean(values >= limit),
        "svg": charts.plot_histogram(values, limit, name),
    }
