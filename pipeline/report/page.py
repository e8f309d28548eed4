"""The page of a report: numbers, charts and pictures, rendered into one HTML file."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from pipeline.dataset.funnel import SCORE_MEANINGS, Funnel, caption_steps, image_steps, list_reasons
from pipeline.report import charts, examples, statistics
from pipeline.report.failure_table import FailureTable, build_table
from pipeline.report.gallery import Thumbnails, build_gallery
from pipeline.report.report_data import ReportData, read_report_data
from pipeline.report.template import REPORT, read_asset, template
from stages.candidates.selection import model_name
from stages.records import instruction_kind
from stages.storage.store import Store

NO_PICTURES = (
    "run/parts was deleted, so this page has no pictures: the shards hold those of the kept samples."
)


@dataclass(frozen=True)
class Chart:
    """``alt`` says in words what the chart shows."""

    title: str
    svg: Markup
    alt: str


def write_report(store: Store, written: Funnel | None = None) -> bool:
    """Write report/index.html; returns whether the pictures are still there.

    ``written`` counts the captions, if the caption pairs were written first. Raises as ``read_report_data`` and
    ``build_gallery`` do.
    """
    data = read_report_data(store)
    page = render(data, build_gallery(store, data, Thumbnails()), written)
    store.write(REPORT, page.encode())
    return data.pictures


def render(data: ReportData, cards: dict[str, list[dict[str, Any]]], written: Funnel | None = None) -> str:
    """The whole page."""
    return template("report.html").render(
        script=read_asset("page.js"),
        title=model_name(data.config),
        finished=len(data.commits) == data.plan.units,
        funnel=data.funnel,
        units=data.plan.units,
        done=len(data.commits),
        steps=image_steps(data.funnel),
        written=caption_steps(written) if written else [],
        losses=losses(data.funnel),
        sections=sections(data),
        cards=cards,
        rule=examples.RULE if data.pictures else NO_PICTURES,
        tables=[table for table in failure_tables(data) if table.records],
        made=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    )


def losses(funnel: Funnel) -> list[tuple[str, int, float]]:
    """(text, count, share of all candidates) of each reason for a rejection, in the order of the checks."""
    return [
        (text, funnel.rejected[reason], funnel.rejected[reason] / funnel.candidates)
        for reason, text in list_reasons(funnel).items()
        if funnel.rejected.get(reason)
    ]


def failure_tables(data: ReportData) -> tuple[FailureTable, FailureTable]:
    """The failed pairs with their captions, and the quarantined lines."""
    failed = [
        {"reason": failure["reason"], "input": pair.input, "edit": pair.edit}
        for commit in data.commits
        for failure in commit["failures"]
        for pair in [data.pairs[failure["pair_id"]]]
    ]
    return (
        build_table("failed pairs", ("reason", "input", "edit"), failed, data.funnel.failed),
        build_table(
            "lines that could not be used",
            ("line", "reason", "text"),
            data.quarantined,
            data.funnel.quarantined,
        ),
    )


def sections(data: ReportData) -> list[tuple[str, list[Chart]]]:
    """The charts under their headings. Charts without numbers are left out."""
    groups = [("Throughput", _throughput(data))]
    if data.scores.num_rows:
        groups = [
            ("Keep rate", _keep_rates(data)),
            ("τ: the trade-off", _trade_off(data)),
            ("Scores", _histograms(data)),
            *groups,
        ]
    return [(heading, charts) for heading, charts in groups if charts]


def _keep_rates(data: ReportData) -> list[Chart]:
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
    shown = []
    for name, by_label in rates.items():
        alt = ", ".join(f"{rate.label} {rate.share:.0%} of {rate.tried:,}" for rate in by_label)
        svg = Markup(charts.plot_rates(by_label, name))
        shown.append(Chart(f"Kept candidates by {name}", svg, f"Kept by {name}: {alt}"))
    return shown


def _trade_off(data: ReportData) -> list[Chart]:
    taus = data.scores["p2p_threshold"].to_numpy()
    image = statistics.quartiles_by_tau(taus, data.scores["clip_sim_image"].to_numpy())
    direction = statistics.quartiles_by_tau(taus, data.scores["clip_sim_dir"].to_numpy())
    alt = "; ".join(
        f"τ {i.tau:.2g}: image {i.median:.2f}, direction {d.median:.2f}"
        for i, d in zip(image, direction, strict=True)
    )
    trade_off, path = charts.plot_trade_off(image, direction), charts.plot_path(image, direction)
    return [
        Chart("Both similarities over τ: median and quartiles", Markup(trade_off), alt),
        Chart("Edit against likeness, one point for each τ", Markup(path), alt),
    ]


def _histograms(data: ReportData) -> list[Chart]:
    shown = []
    for name, meaning in SCORE_MEANINGS.items():
        values, limit = data.scores[name].to_numpy(), float(getattr(data.config.filter, name))
        alt = f"{name}: median {np.median(values):.2f}; {np.mean(values >= limit):.0%} reach the threshold {limit:g}"
        svg = Markup(charts.plot_histogram(values, limit, name))
        shown.append(Chart(f"{meaning}, ≥ {limit:g}", svg, alt))
    return shown


def _throughput(data: ReportData) -> list[Chart]:
    minutes, rate = statistics.throughput(data.committed_at, [commit["pairs"] for commit in data.commits])
    if not len(minutes):
        return []
    title = (
        "Caption pairs committed, by the times of the commit files; denoising took "
        f"{data.funnel.utilisation:.0%} of the workers' time"
    )
    alt = (
        f"{data.funnel.pairs:,} pairs in {minutes.max():.1f} minutes; at most {rate.max():.1f} pairs a minute"
    )
    return [Chart(title, Markup(charts.plot_throughput(minutes, rate)), alt)]
