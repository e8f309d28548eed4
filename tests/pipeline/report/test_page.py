from __future__ import annotations

import json
import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest

from pipeline.dataset.funnel import Funnel
from pipeline.report.gallery import Gallery
from pipeline.report.page import SHOWN, build_table, losses, render, write_report
from pipeline.report.report_data import ReportData, read_report_data
from pipeline.report.template import REPORT
from tests.pipeline.report.outputs import output


@pytest.mark.parametrize("count", [0, 1, 51, SHOWN])
def test_up_to_the_limit_all_are_shown_in_order(count: int):
    failures = [{"line": number, "reason": "r", "other": 0} for number in range(count)]
    table = build_table("bad", ("line", "reason"), failures, count)
    assert table["records"] == [[str(number), "r"] for number in range(count)]


@pytest.mark.parametrize("count", [SHOWN + 1, 3 * SHOWN + 7])
def test_above_the_limit_an_even_sample_is_shown(count: int):
    table = build_table("bad", ("line",), [{"line": number} for number in range(count)], count)
    places = [int(line) for (line,) in table["records"]]
    assert (len(places), table["total"], places[0]) == (SHOWN, count, 0)
    gaps = {after - before for before, after in zip(places, [*places[1:], count], strict=True)}
    assert gaps <= {count // SHOWN, -(-count // SHOWN)}


def test_losses_are_shares_in_the_order_of_checks():
    funnel = Funnel(candidates=10, rejected={"nsfw": 1, "max_per_pair": 2, "clip_sim_0": 5})
    found = losses(funnel)
    assert [count for _, count, _ in found] == [5, 1, 2]
    assert [share for *_, share in found] == [0.5, 0.1, 0.2]
    assert all(text for text, *_ in found)


def test_a_page_is_one_file_that_loads_nothing(tmp_path: Path):
    store, results = output(str(tmp_path / "out"), 3)
    assert write_report(store)
    page = store.read(REPORT).decode()
    assert not re.search(r'(src|href)="(https?:|//)', page)
    assert page.count("<style>") == 1
    assert "--accent:" in page
    assert "unfinished: 3 of 6 units" in page
    cards = json.loads(page.partition('id="cards">')[2].partition("</script>")[0])
    assert len(cards["kept"]) == len({result.unit.pairs[0].id for result in results[:3]})


def test_a_chart_of_one_value_is_left_out(tmp_path: Path):
    store, _ = output(str(tmp_path / "out"), 6)
    data = read_report_data(store)
    titles = chart_titles(data)
    assert "Kept candidates by τ" in titles
    assert "Kept candidates by kind of edit" in titles
    assert "Kept candidates by guidance" not in titles, "all candidates have one guidance"
    assert sum("≥" in title for title in titles) == 1, "the other scores are all alike"
    ones = data.scores.filter(pc.equal(data.scores["p2p_threshold"], 0.4))
    assert not any("τ" in title for title in chart_titles(replace(data, scores=ones)))
    none = chart_titles(
        replace(data, scores=ones.slice(0, 1), committed_at=np.array([5.0]), committed_pairs=np.array([2]))
    )
    assert none == []


def test_small_numbers_are_said_in_words_that_fit(tmp_path: Path):
    store, _ = output(str(tmp_path / "out"), 1, planned=1)
    write_report(store)
    page = store.read(REPORT).decode()
    assert "<h1>2 samples <span>from 1 of 2 caption pairs</span></h1>" in page
    assert "1 pair failed, 120 lines could not be used" in page
    assert "Kept: the only pair with a sample" in page
    assert 'id="live"' not in page


def chart_titles(data: ReportData) -> list[str]:
    page = render(data, Gallery({name: [] for name in ("kept", "strips", "near", "worst")}))
    assert ('href="#figures"' in page) == ("<figure>" in page) == ('id="figures"' in page)
    return [unescape(title) for title in re.findall("<figcaption>(.*?)</figcaption>", page)]
