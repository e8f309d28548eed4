from __future__ import annotations

import json
from pathlib import Path

import pytest

from conf.pairs import PairsConfig
from miniworld.check_pair import Verdict, judge
from pipeline.cli.main import main
from pipeline.config import resolve
from pipeline.dataset.funnel import funnel_of
from pipeline.pairs.pack_pairs import ANSWERS, pack
from pipeline.planning.plan import Plan, make_or_resume
from pipeline.tasks.pair_task import PairTask
from pipeline.tasks.task import task_of
from stages.captions import CaptionSource, open_captions
from stages.formats import parquet_tables
from stages.records import CaptionPair, WrittenPair
from stages.storage.commits import committed_units, read_commits
from stages.storage.plan_files import read_unit
from stages.storage.store import Store
from stages.write import encode_answers, summarise, write_unit
from stages.write_pairs import WritePairs
from tests.pipeline.pairs import small


def planned(folder: Path, *more: str) -> tuple[PairsConfig, Store, Plan]:
    config = resolve.read_pairs_settings(small.settings(folder, *more))
    store = Store(config.out)
    return config, store, make_or_resume(store, task_of(config))


def write(config: PairsConfig, store: Store, plan: Plan, units: list[int]) -> None:
    stage = WritePairs(config, plan.model_fingerprint)
    for index in units:
        result = stage(read_unit(store, index))
        write_unit(store, encode_answers(result), summarise(result))


def packed(config: PairsConfig, store: Store, plan: Plan) -> dict[str, bytes]:
    commits = list(read_commits(store, range(plan.units)))
    PairTask(config).finish(plan, store, commits)
    return {name: store.read(name) for name in ("pairs.jsonl", ANSWERS, "run/pack.json")}


def test_any_order_of_units_gives_the_same_bytes(tmp_path: Path) -> None:
    files = []
    for name, order in (("a", [0, 1, 2, 3]), ("b", [3, 1]), ("c", [2])):
        (tmp_path / name).mkdir()
        config, store, plan = planned(tmp_path / name)
        write(config, store, plan, order)
        # Somebody else goes on with what is left.
        write(*planned(tmp_path / name), sorted(set(range(plan.units)) - committed_units(store)))
        files.append(packed(config, store, plan))
    assert files[0]["pairs.jsonl"]
    for other in files[1:]:
        assert other["pairs.jsonl"] == files[0]["pairs.jsonl"]
        assert other[ANSWERS] == files[0][ANSWERS]


def test_a_finished_run_prints_json_or_nothing_when_quiet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, store, plan = planned(tmp_path)
    write(config, store, plan, list(range(plan.units)))
    command = ["pairs", *small.settings(tmp_path)]
    assert main([*command, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["out"], told["read"]) == (config.out, 11)
    assert told["samples"] == len(store.read("pairs.jsonl").splitlines()) > 0
    assert main(["pairs", "--quiet", *command[1:]]) == 0
    assert capsys.readouterr() == ("", "")
    assert main([*command, "--quiet", "--json"]) == 2
    assert "give one" in capsys.readouterr().err
    assert main(command) == 0
    assert "11  captions read" in capsys.readouterr().out


def test_packed_pairs_are_readable_and_right(tmp_path: Path) -> None:
    config, store, plan = planned(tmp_path)
    assert (plan.pairs, plan.quarantined, plan.units) == (10, 1, 4)
    write(config, store, plan, [0, 1, 2, 3])
    packed(config, store, plan)
    pairs = list(open_captions(CaptionSource("jsonl", store.path("pairs.jsonl"))))
    assert all(isinstance(pair, CaptionPair) for pair in pairs)
    assert len(pairs) >= 12
    for pair in pairs:
        assert judge(pair.input, pair.edit, pair.output) is Verdict.right
        assert json.loads(pair.meta) == {
            "url": f"http://x/{small.CAPTIONS.index(pair.input)}",
            "source_edit": "none",
        }
    every = parquet_tables.answers_of(parquet_tables.from_bytes(store.read(ANSWERS)))
    assert len(every) == 20
    assert [one.reason for one in every if one.caption == "a girl riding a horse"] == ["unknown_caption"] * 2
    funnel = funnel_of(plan, read_commits(store, range(plan.units)))
    assert (funnel.read, funnel.quarantined, funnel.candidates) == (11, 1, 20)
    assert funnel.rejected["unknown_caption"] == 2
    assert funnel.samples >= len(pairs)


def test_near_duplicates_across_captions_go_in_plan_order(tmp_path: Path) -> None:
    store = Store(str(tmp_path))

    def answer(pair: str, edited: str) -> WrittenPair:
        return WrittenPair(
            pair, 0, 1, f"{edited} by day", "make it night", f"{edited} at night", True, "", "", "{}"
        )

    first, near, other = (
        "a red ball on the green grass",
        "a red ball on the green grasses",
        "a house and a tree",
    )
    for unit, own in enumerate([[answer("a", first)], [answer("b", near), answer("c", other)]]):
        record = {"unit": unit, "candidates": len(own)}
        write_unit(store, {"answers": parquet_tables.to_bytes(parquet_tables.answers_table(own))}, record)
    commits = list(read_commits(store, [0, 1]))
    written = pack(store, commits, 0.8)
    assert (written.pairs, written.captions, written.across) == (2, 2, 1)
    reasons = {
        one.pair_id: one.reason
        for one in parquet_tables.answers_of(parquet_tables.from_bytes(store.read(ANSWERS)))
    }
    assert reasons == {"a": "", "b": "near_duplicate_across", "c": ""}
    assert pack(store, commits, 0.8) == written
