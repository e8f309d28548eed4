from __future__ import annotations

import io

from rich.console import Console
from rich.table import Table

from pipeline.dataset.funnel import REASONS, Funnel, funnel_of
from pipeline.tasks.funnel_table import image_table, pair_table
from tests.pipeline.dataset.test_funnel import COMMITS, PLAN


def printed(table: Table) -> str:
    stream = io.StringIO()
    Console(file=stream, width=100).print(table)
    return stream.getvalue()


def test_full_decoding_is_hidden_if_nothing_was_rescored():
    shown = printed(image_table(funnel_of(PLAN, COMMITS[2:])))
    assert "decoded in full" not in shown


def test_the_table_lists_reasons_in_the_order_of_checks():
    seldom = {**COMMITS[0], "rejected": {"near_duplicate": 1, "no_image": 2, "left_early": 3}}
    shown = printed(image_table(funnel_of(PLAN, [*COMMITS, seldom])))
    lines = shown.splitlines()
    assert [line for line in lines if "direction of the edit" in line and "8" in line and "50%" in line]
    assert [line for line in lines if "failed" in line and "1" in line]
    order = [next(k for k, line in enumerate(lines) if text in line) for text in REASONS.values()]
    assert order == sorted(order)


def test_a_run_without_failures_has_no_line_for_them():
    assert "failed pairs" not in printed(image_table(Funnel(read=2, pairs=2)))
    assert "failed pairs" in printed(image_table(Funnel(read=2, pairs=2, failed=1)))


def test_the_table_of_captions_has_counts_names_and_shares():
    funnel = Funnel(read=1200, quarantined=12, pairs=1188, candidates=2000, samples=500, pairs_kept=297)
    funnel.rejected = {"too_long": 300, "no_json": 1200}
    lines = [line.split(maxsplit=1) for line in printed(pair_table(funnel)).splitlines()]
    assert [count for count, _ in lines] == ["1,200", "12", "0", "2,000", "1,200", "300", "500", "297"]
    names = [name.rstrip() for _, name in lines]
    assert (names[0], names[3]) == ("captions read", "answers")
    assert names[4].startswith("malformed: no JSON object")
    assert [name.split()[-1] for name in (names[1], *names[4:])] == ["1%", "60%", "15%", "25%", "25%"]
