from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pipeline.dataset.funnel import Funnel
from pipeline.report.page import SHOWN, build_table, losses, write_report
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
