"""Options of caption pairs: their forms in each format, their place in the pair, and the reasons of wrong ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import p2p
from p2p.models.model_limits import ModelLimits
from stages.captions import CaptionSource, open_captions
from stages.captions.pair_options import OPTIONS, options_check, parse_options
from stages.records import CaptionPair, Quarantined

TEXTS = {"input": "a red ball", "edit": "make it blue", "output": "a blue ball"}
GIVEN = {
    "alignment": [["red ball", "blue ball"]],
    "blend": {"source": "ball", "target": "ball"},
    "negative_prompt": "a cat",
    "only": ["ball"],
    "reweight": {"blue": 2.0},
    "self_max_size": 0.5,
    "word_taus": {"blue": 0.25},
}


def read(path: Path, kind: str = "auto") -> list[CaptionPair | Quarantined]:
    return list(open_captions(CaptionSource(kind, str(path))))


def jsonl(path: Path, *records: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps({**TEXTS, **record}) + "\n" for record in records))
    return path


def test_every_option_is_one_of_the_librarys():
    assert set(GIVEN) == set(OPTIONS)
    request = p2p.SweepRequest(TEXTS["input"], TEXTS["output"], **GIVEN)  # type: ignore[arg-type]
    assert request.local_blend == p2p.Blend("ball", "ball")


def test_options_reach_the_pair_its_meta_and_its_id(tmp_path: Path):
    path = jsonl(tmp_path / "a.jsonl", {}, *({name: value} for name, value in GIVEN.items()), GIVEN)
    pairs = [item for item in read(path) if isinstance(item, CaptionPair)]
    assert len({pair.id for pair in pairs}) == len(pairs) == 9
    assert pairs[0] == CaptionPair(**TEXTS)
    assert [json.loads(pair.options) for pair in pairs[1:]] == [*({k: v} for k, v in GIVEN.items()), GIVEN]
    assert [pair.meta for pair in pairs[1:]] == [pair.options for pair in pairs[1:]]


def test_other_forms_of_an_option_are_the_same_pair(tmp_path: Path):
    forms = [
        {"reweight": {"blue": 2}, "blend": ["ball", "ball"], "only": None},
        {"blend": {"target": "ball", "source": "ball"}, "reweight": {"blue": 2.0, "red": None}},
        {"blend": '["ball", "ball"]', "reweight": '{"blue": 2}'},
    ]
    pairs = read(jsonl(tmp_path / "a.jsonl", *forms))
    assert len({pair.id for pair in pairs if isinstance(pair, CaptionPair)}) == 1
    assert len(pairs) == 3


def test_a_null_option_leaves_the_pair_as_it_was(tmp_path: Path):
    (pair,) = read(jsonl(tmp_path / "a.jsonl", {"blend": None, "url": "x"}))
    assert pair == CaptionPair(**TEXTS, meta='{"blend": null, "url": "x"}')


def test_tables_hold_options_too(tmp_path: Path):
    text = {name: value if isinstance(value, str) else json.dumps(value) for name, value in GIVEN.items()}
    columns = [*TEXTS, *text]
    cells = [*TEXTS.values(), *text.values()]
    quoted = ",".join('"' + cell.replace('"', '""') + '"' for cell in cells)
    empty = ",".join([*TEXTS.values(), *[""] * len(text)])
    (tmp_path / "a.csv").write_text(f"{','.join(columns)}\n{quoted}\n{empty}\n")
    pq.write_table(pa.Table.from_pylist([{**TEXTS, **GIVEN}, dict(TEXTS)]), tmp_path / "a.parquet")
    maps = pa.array([[("blue", 2.0)], None], pa.map_(pa.string(), pa.float64()))
    table = pa.Table.from_pylist([{**TEXTS, **GIVEN}, dict(TEXTS)]).drop_columns("reweight")
    (tmp_path / "maps").mkdir()
    pq.write_table(table.append_column("reweight", maps), tmp_path / "maps" / "a.parquet")
    datasets.disable_progress_bars()
    (expected,) = read(jsonl(tmp_path / "a.jsonl", GIVEN))
    for path, kind in (("a.csv", "auto"), ("a.parquet", "auto"), ("maps", "auto")):
        pairs = read(tmp_path / path, kind)
        assert [getattr(pair, "reason", "") for pair in pairs] == ["", ""], path
        assert [(pair.id, pair.options) for pair in pairs if isinstance(pair, CaptionPair)] == [
            (expected.id, expected.options),
            (CaptionPair(**TEXTS).id, ""),
        ], path


def test_datasets_hold_options_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "set").mkdir()
    jsonl(tmp_path / "set" / "a.jsonl", {"reweight": {"blue": 2.0}}, {"reweight": {"ball": 0.5}}, {})
    pairs = [item for item in read(tmp_path / "set", "dataset") if isinstance(item, CaptionPair)]
    assert [pair.options for pair in pairs] == [
        '{"reweight": {"blue": 2.0}}',
        '{"reweight": {"ball": 0.5}}',
        "",
    ]


def test_captions_alone_have_no_options(tmp_path: Path):
    path = jsonl(tmp_path / "a.jsonl", {"reweight": 3})
    (pair,) = open_captions(CaptionSource("jsonl", str(path), captions_only=True))
    assert isinstance(pair, CaptionPair)
    assert not pair.options


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("alignment", [["red ball"]]),
        ("alignment", "red ball"),
        ("blend", "ball"),
        ("blend", ["ball"]),
        ("blend", ["ball", ""]),
        ("blend", {"source": "ball"}),
        ("blend", {"source": "ball", "target": "ball", "thresh": 0.1}),
        ("blend", {"source": "ball", "target": "ball", "threshold": 1.5}),
        ("blend", {"source": "ball", "target": "ball", "interpolation": "cubic"}),
        ("negative_prompt", 3),
        ("negative_prompt", "\ud800"),
        ("only", "ball"),
        ("only", [1]),
        ("reweight", 2),
        ("reweight", {"blue": "much"}),
        ("reweight", {"blue": float("inf")}),
        ("reweight", {"blue": True}),
        ("reweight", {}),
        ("self_max_size", 0),
        ("self_max_size", 1.5),
        ("self_max_size", True),
        ("word_taus", {"blue": 1.5}),
        ("word_taus", {"blue": 10**400}),
    ],
)
def test_a_wrong_option_is_named_with_the_fix(tmp_path: Path, name: str, value: object):
    reason = parse_options({name: value})
    assert isinstance(reason, str)
    assert reason.startswith(f"field '{name}' is ")
    assert "give " in reason
    assert reason.encode().decode() == reason
    assert "\n" not in reason
    (line,) = read(jsonl(tmp_path / "a.jsonl", {name: value}))
    assert isinstance(line, Quarantined)
    assert f"field '{name}'" in line.reason


def test_words_are_looked_for_only_where_there_are_options(sd1_folder: Path):
    prompts = p2p.load_tokenizer(sd1_folder)
    check = options_check(prompts, ModelLimits(), method="p2p", too_long="error")
    assert check(CaptionPair(**TEXTS, options=json.dumps(GIVEN)), "") == ""
    wrong = CaptionPair(**TEXTS, options='{"reweight": {"red": 2.0}}')
    assert check(wrong, "") == "reweight: 'red' is not in 'a blue ball'; its words are a, blue, ball"
    assert options_check(None, ModelLimits(), method="p2p", too_long="error")(CaptionPair(**TEXTS), "") == ""  # type: ignore[arg-type]
