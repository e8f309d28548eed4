"""The page: numbers, figures and pictures set into one HTML file by Jinja, with everything escaped."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from pipeline.dataset.funnel import Funnel, reasons_of
from pipeline.report import examples, figures, statistics
from pipeline.report.data import Facts
from pipeline.report.failure_table import Lines, lines
from pipeline.report.template import own_file, template
from pipeline.tasks import two_step_output
from stages.candidates.selection import model_name
from stages.kinds import kind_of

NO_PICTURES = (
    "run/parts was deleted, and with it the pictures of this page: the shards have those of what was kept."
)
SCORES = {
    "clip_sim_0": "source and its caption",
    "clip_sim_1": "edit and its caption",
    "clip_sim_dir": "direction of the edit",
    "clip_sim_image": "likeness of the two",
}


@dataclass(frozen=True)
class Drawn:
    """A figure of the page: ``alt`` says what it shows to who cannot see it."""

    title: str
    svg: Markup
    alt: str


def html(facts: Facts, cards: dict[str, list[dict[str, Any]]]) -> str:
    """The whole page."""
    return template("report.html").render(
        script=Markup(own_file("page.js")),
        title=model_name(facts.config),
        finished=facts.finished,
        funnel=facts.funnel,
        units=facts.plan.units,
        done=len(facts.commits),
        steps=steps(facts.funnel),
        written=two_step_output.steps(facts.written) if facts.written else [],
        losses=losses(facts.funnel),
        sections=sections(facts),
        cards=cards,
        rule=examples.RULE if facts.pictures else NO_PICTURES,
        listed=listed(facts),
        made=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    )


def steps(funnel: Funnel) -> list[tuple[str, int]]:
    """The funnel from the lines read to the samples kept."""
    return [
        ("lines read", funnel.read),
        ("caption pairs done", funnel.pairs),
        ("candidates", funnel.candidates),
        ("samples kept", funnel.samples),
        ("pairs with a sample", funnel.pairs_kept),
    ]


def losses(funnel: Funnel) -> list[tuple[str, int, float]]:
    """Why candidates were rejected: words, count, share of all candidates, in the order they meet the reasons."""
    return [
        (words, funnel.rejected[reason], funnel.rejected[reason] / funnel.candidates)
        for reason, words in reasons_of(funnel).items()
        if funnel.rejected.get(reason)
    ]


def listed(facts: Facts) -> list[Lines]:
    """What failed and what could not be used; what there is none of is left out."""
    found = (
        lines("failed pairs", ("reason", "input", "edit"), failed(facts), facts.funnel.failed),
        lines(
            "lines that could not be used",
            ("line", "reason", "text"),
            facts.quarantined,
            facts.funnel.quarantined,
        ),
    )
    return [one for one in found if one.rows]


def failed(facts: Facts) -> list[dict[str, str]]:
    """Every failed pair of the commits with its captions."""
    return [
        {
            "reason": failure["reason"],
            "input": facts.pairs[failure["pair_id"]].input,
            "edit": facts.pairs[failure["pair_id"]].edit,
        }
        for commit in facts.commits
        for failure in commit["failures"]
    ]


def sections(facts: Facts) -> list[tuple[str, list[Drawn]]]:
    """The figures under their headings. A figure without numbers behind it is left out."""
    groups = [("Keep rate", keep_rates(facts)), ("τ: the trade-off", trade_off(facts))]
    groups += [("Scores", histograms(facts)), ("Throughput", throughput(facts))]
    return [(heading, drawn) for heading, drawn in groups if drawn]


def keep_rates(facts: Facts) -> list[Drawn]:
    scores = facts.scores
    if not scores.num_rows:
        return []
    kept = scores["kept"].to_numpy()
    asked = [
        ("τ", statistics.by_number(scores["p2p_threshold"].to_numpy(), kept)),
        ("guidance", statistics.by_number(scores["cfg_scale"].to_numpy(), kept)),
    ]
    kinds = {pair: kind_of(caption) for pair, caption in facts.pairs.items()}
    if any(kinds.values()):
        # A sum a pair first: candidates come by the million.
        own = scores.group_by("pair_id").aggregate([("kept", "sum"), ("kept", "count")])
        names = [kinds[pair] for pair in own["pair_id"].to_pylist()]
        counts = own["kept_sum"].to_pylist(), own["kept_count"].to_pylist()
        asked.append(("kind of edit", statistics.by_word(zip(names, *counts, strict=True))))
    return [
        Drawn(
            f"Kept candidates by {name}",
            Markup(figures.rates(found, name)),
            f"Kept by {name}: " + ", ".join(f"{one.label} {one.share:.0%} of {one.tried:,}" for one in found),
        )
        for name, found in asked
    ]


def trade_off(facts: Facts) -> list[Drawn]:
    if not facts.scores.num_rows:
        return []
    taus = facts.scores["p2p_threshold"].to_numpy()
    image = statistics.spread(taus, facts.scores["clip_sim_image"].to_numpy())
    direction = statistics.spread(taus, facts.scores["clip_sim_dir"].to_numpy())
    alt = "; ".join(
        f"τ {i.tau:.2g}: image {i.median:.2f}, direction {d.median:.2f}"
        for i, d in zip(image, direction, strict=True)
    )
    return [
        Drawn(
            "Both similarities over τ: median and quartiles", Markup(figures.trade_off(image, direction)), alt
        ),
        Drawn("Edit against likeness, a point a τ", Markup(figures.path(image, direction)), alt),
    ]


def histograms(facts: Facts) -> list[Drawn]:
    if not facts.scores.num_rows:
        return []
    drawn = []
    for name, meaning in SCORES.items():
        values, limit = facts.scores[name].to_numpy(), float(getattr(facts.config.filter, name))
        alt = f"{name}: median {np.median(values):.2f}; {np.mean(values >= limit):.0%} reach the threshold {limit:g}"
        drawn.append(Drawn(f"{meaning}, ≥ {limit:g}", Markup(figures.histogram(values, limit, name)), alt))
    return drawn


def throughput(facts: Facts) -> list[Drawn]:
    minutes, rate = statistics.throughput(facts.committed_at, [commit["pairs"] for commit in facts.commits])
    if not len(minutes):
        return []
    alt = f"{facts.funnel.pairs:,} pairs in {minutes.max():.1f} minutes; at most {rate.max():.1f} pairs a minute"
    heading = (
        f"Caption pairs committed, by the commits' file times; {facts.funnel.utilisation:.0%} of the workers' time "
        "was denoising"
    )
    return [
        Drawn(
            heading,
            Markup(figures.throughput(minutes, rate)),
            alt,
        )
    ]
