"""The mini world's language model, shipped as the default writer: from captions alone to caption pairs, and on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import miniworld
from conf.pairs import WriterKind
from miniworld.check_pair import Verdict, judge
from pipeline.cli.main import main
from pipeline.config import resolve
from pipeline.planning.plan import load
from stages.storage.store import Store

COUNT = 24


def test_it_is_the_writer_unless_another_is_named() -> None:
    writer = resolve.read_pairs_settings(["captions=miniworld_captions"]).writer
    assert writer.kind is WriterKind.transformers
    assert writer.model == str(miniworld.WRITER)


@pytest.mark.long
def test_the_same_run_writes_the_same_pairs_however_it_is_cut(tmp_path: Path) -> None:
    written = []
    for name, unit in (("one", 8), ("again", 8), ("otherwise", 5)):
        out = tmp_path / name
        asked = ["captions=miniworld_captions", f"limit={COUNT}", f"out={out}", "cluster.workers=1"]
        assert main(["pairs", *asked, f"unit_pairs={unit}"]) == 0
        written.append((out / "pairs.jsonl").read_bytes())
    assert written[0] == written[1] == written[2]

    lines = [json.loads(line) for line in written[0].splitlines()]
    assert len(lines) >= 0.6 * COUNT
    verdicts = [judge(line["input"], line["edit"], line["output"]) for line in lines]
    assert verdicts.count(Verdict.right) >= 0.4 * len(lines)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_pairs_become_samples(tmp_path: Path) -> None:
    asked = ["captions=miniworld_captions", "limit=4", f"out={tmp_path / 'pairs'}", "cluster.workers=1"]
    assert main(["pairs", *asked]) == 0
    pairs = tmp_path / "pairs" / "pairs.jsonl"
    run = [
        "captions=jsonl",
        f"captions.path={pairs}",
        f"out={tmp_path / 'set'}",
        "sweep.seeds=1",
        "sweep.taus=[0.4]",
        "cluster.workers=1",
    ]
    assert main(run) == 0
    assert main(["verify", str(tmp_path / "set")]) == 0
    plan = load(Store(str(tmp_path / "set")))
    assert plan.pairs == len(pairs.read_text().splitlines()) > 0
    assert plan.quarantined == 0
