from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
from markupsafe import Markup

from pipeline.report import charts
from pipeline.report.statistics import Quartiles, Rate

POINTS = [Quartiles(tau, 0.1, 0.2, 0.3) for tau in (0.2, 0.5, 1.0)]
RATES = [Rate("0.2", 1, 4), Rate("0.5", 3, 4)]


def every_chart() -> list[Markup]:
    return [
        charts.plot_rates(RATES, "τ"),
        charts.plot_rates(RATES, "guidance"),
        charts.plot_histogram(np.linspace(0, 1, 50), 0.4, "clip_sim_dir"),
        charts.plot_trade_off(POINTS, POINTS),
        charts.plot_path(POINTS, POINTS),
        charts.plot_throughput(np.array([1.0, 2.0]), np.array([3.0, 4.0])),
    ]


def test_charts_are_svg_in_the_colours_of_the_style_sheet():
    for svg in every_chart():
        assert ElementTree.fromstring(svg).tag.endswith("svg")
        assert not any(placeholder in svg for placeholder in charts.COLOURS)
        assert "var(--muted)" in svg


def test_no_two_charts_share_an_id_and_references_resolve():
    ids = [re.findall(r' id="([^"]+)"', svg) for svg in every_chart()]
    assert len({name for of_chart in ids for name in of_chart}) == sum(map(len, ids))
    for svg, names in zip(every_chart(), ids, strict=True):
        assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg)) <= set(names)


def test_a_chart_made_again_has_the_same_bytes():
    assert every_chart() == every_chart()


def test_rates_are_labelled_in_per_cent():
    svg = charts.plot_rates([Rate("make", 1, 4), Rate("$x_1$", 3, 4)], "kind of edit")
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    assert {"25%", "75%", "make", "$x_1$", "kind of edit"} <= set(texts)
