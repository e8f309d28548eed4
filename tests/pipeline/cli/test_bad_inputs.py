"""A corpus of bad inputs: each ends with exit code 2 and one line, before anything is written."""

from __future__ import annotations

import gzip
import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import get_args

import pytest

import miniworld
from conf.setting_keys import GROUPS, setting_types
from conf.sweeps import AdaptiveSweep, GridSweep, RandomSweep
from pipeline.cli.main import main

LONGEST = 10.0
"""Seconds until the refusal."""
PAIR = {"input": "a red circle on grass", "edit": "make it blue", "output": "a blue circle on grass"}


@dataclass(frozen=True)
class Case:
    """Words of a command line; ``{folder}`` is the folder of the files that ``prepare`` makes."""

    words: tuple[str, ...]
    names: str = ""
    prepare: Callable[[Path], object] | None = None

    def __str__(self) -> str:
        return " ".join(self.words)[:80] or "nothing"


def _sweep_of(key: str) -> str:
    name = key.removeprefix("sweep.")
    for option, schema in (("grid", GridSweep), ("random", RandomSweep), ("adaptive", AdaptiveSweep)):
        if name in schema.__dataclass_fields__:
            return f"sweep={option}"
    raise KeyError(key)


def settings() -> Iterator[Case]:
    """Yield values of the wrong type for every key of the schema, and values that no bound allows."""
    for key, kind in setting_types().items():
        kinds = {kind, *get_args(kind)}
        group = (_sweep_of(key),) if key.startswith("sweep.") else ()
        if list[float] in kinds:
            values = ["[text]", "[nan]", "0.5.5"]
        elif kinds & {int, float}:
            values = ["text", "[1]", "{a:1}", "nan", "-99999999999999999999"]
            values += ["1.5"] if int in kinds else ["inf", "-inf"]
        elif kind is bool or (isinstance(kind, type) and issubclass(kind, Enum)):
            values = ["nonsense", "[1]"]
        elif key in GROUPS:
            values = ["nonsense", "[a]"]
        else:
            continue
        for value in values:
            yield Case((*group, f"{key}={value}"), key.rpartition(".")[2])
    for key in (
        "sed",
        "sweep.tau",
        "sampler.step",
        "model",
        "captions.paths",
        "filter.clip",
        "a.b.c",
        "0",
        "out.x",
    ):
        yield Case((f"{key}=x",), key)
    for setting in (
        "limit=0", "unit_pairs=0", "sampler.steps=1001", "sampler.steps=0", "sampler.guidance=-1",
        "sampler.guidance=101", "edit.self_gain=-1", "edit.cross_gain=11",
        "filter.clip_sim_dir=2", "filter.clip_sim_0=-1.01",
        "filter.max_per_pair=0", "filter.near_duplicate=193", "filter.near_duplicate=-1", "shards.samples=0",
        "shards.quality=0", "shards.quality=101", "sweep.taus=[]", "sweep.taus=[0.5,0.5]", "sweep.taus=[1.5]",
        "sweep.seeds=0", "early.at=0", "early.at=1", "early.clip_sim_0=-0.1", "sheet.pairs=-1", "sheet.attention=-1",
        "cluster.workers=0", "cluster.threads=0", "cluster.batch_rows=3", "cluster.hours=0", "cluster.unit_seconds=0",
        "cluster.gpus_per_worker=1.5", "cluster.gpus_per_worker=-1", "cluster.metrics_port=65536", "captions.limit=0",
        "sampler.guidance_interval=[1]", "sampler.guidance_interval=[5,1]", "model.unit_pairs=0",
    ):  # fmt: skip
        yield Case((setting,), setting.partition("=")[0].rpartition(".")[2])
    for words, named in (
        (("cluster=ray",), "cluster.address"),
        (("cluster=ray", "cluster.address=auto", "cluster.metrics_port=9000"), "metrics_port"),
        (("sweep=random", "sweep.tau_min=0.9", "sweep.tau_max=0.1"), "sweep.tau_min"),
        (("sweep=random", "sweep.guidance_min=9", "sweep.guidance_max=1"), "guidance_min"),
        (("sweep=adaptive", "sweep.prior=[0.5]"), "sweep.prior"),
        (("sweep=adaptive", "edit.method=sdedit"), "edit.method"),
        (("sweep=adaptive", "sweep.prior_from=nowhere"), "nowhere"),
        (("keep=all-images", "model.scoring_decoder=x"), "scoring_decoder"),
        (("sampler.name=flow_match_euler",), "flow_match_euler"),
        (("sampler.name=no.such.module",), "sampler.name"),
        (("model=sdxl", f"model.path={miniworld.MODEL}", f"filter.name=local-dir:{miniworld.CLIP}"), "model=sdxl"),
        (("filter.measures=[{kind:nonsense}]",), "nonsense"),
        (("filter.measures=[{kind:ssim,least:2}]",), "ssim"),
        (("filter.measures=[{kind:ssim,least:0.9,most:0.1}]",), "0.9"),
        (("filter.measures=[{kind:changed_area,most:-1}]",), "changed_area"),
        (("filter.measures=[{kind:ssim,model:x}]",), "ssim"),
        (("filter.measures=[{kind:dino}]",), "dino"),
        (("filter.measures=[{kind:lpips,model:nowhere.safetensors}]",), "nowhere.safetensors"),
        (("filter.measures=[{kind:changed_area,tolerance:2}]",), "tolerance"),
        (("filter.measures=3",), "filter.measures"),
        (("captions.block_file=nowhere.txt",), "nowhere.txt"),
        (("tracker=tensorboard", "out=s3://bucket/x"), "tracker.folder"),
        (("experiment=nonsense",), "experiment"),
        (("seed=0,1",), "seed"),
        (("--quiet", "--json"), "--quiet"),
        (("--dry-run",), "--dry-run"),
        (("seed",), "seed"),
        (("=",), "="),
        (("=x",), "=x"),
    ):  # fmt: skip
        yield Case(words, named)


def _write(name: str, data: str | bytes) -> Callable[[Path], object]:
    def write(folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)

    return write


LINE = json.dumps(PAIR) + "\n"
FILES: dict[str, str | bytes] = {
    "empty.jsonl": "",
    "blank.jsonl": "\n\n\n",
    "text.jsonl": "a red ball\n",
    "list.jsonl": "[1, 2]\n",
    "number.jsonl": "3\n",
    "null.jsonl": "null\n",
    "array.json": f"[{json.dumps(PAIR)}]",
    "wrong_keys.jsonl": '{"a": 1}\n',
    "two_fields.jsonl": '{"input": "a", "edit": "b"}\n',
    "numbers.jsonl": '{"input": 1, "edit": 2, "output": 3}\n',
    "empty_texts.jsonl": '{"input": "", "edit": "", "output": ""}\n',
    "utf16.jsonl": LINE.encode("utf-16"),
    "latin1.jsonl": '{"input": "caf\xe9", "edit": "b", "output": "c"}\n'.encode("latin-1"),
    "binary.jsonl": bytes(range(256)) * 4,
    "cut.jsonl": LINE[:20],
    "cut.jsonl.gz": gzip.compress(LINE.encode() * 1000)[:40],
    "not.jsonl.gz": "this is no gzip",
    "empty.csv": "",
    "no_header.csv": "a red ball,make it blue,a blue ball\n",
    "header_only.csv": "input,edit,output\n",
    "other_header.csv": "a,b,c\n1,2,3\n",
    "not.parquet": "this is no parquet",
    "empty.parquet": "",
    "cut.parquet": b"PAR1",
    "pairs.unknown": LINE,
    "pairs": LINE,
    "long.jsonl": json.dumps({**PAIR, "input": "a red circle " * 200}) + "\n",
}


def files() -> Iterator[Case]:
    """Yield captions that cannot be read, or hold no caption pair."""
    for name, data in FILES.items():
        yield Case((f"captions.path={{folder}}/{name}", "captions.kind=auto"), "", _write(name, data))
    for words in (
        ("captions.path=nowhere.jsonl",),
        ("captions.path=",),
        ("captions.path={folder}",),
        ("captions=csv",),
        ("captions=parquet", "captions.path=nowhere.parquet"),
        ("captions=dataset", "captions.path=./nowhere"),
        ("captions.kind=nonsense",),
        ("captions.path=s3://bucket/pairs.jsonl",),
        ("captions.path=https://example.invalid/pairs.jsonl",),
        ("captions=from_captions",),
        ("captions=text", f"captions.path={miniworld.ALONE}"),
    ):
        yield Case(words)
    yield Case(
        ("captions=jsonl", "captions.path={folder}/a.jsonl", "captions.fields.input=nowhere"),
        "",
        _write("a.jsonl", LINE),
    )


def _damaged_model(name: str, data: str | bytes | None) -> Callable[[Path], object]:
    def damage(folder: Path) -> None:
        shutil.copytree(miniworld.MODEL, folder / "model")
        if data is None:
            (folder / "model" / name).unlink()
        else:
            _write(f"model/{name}", data)(folder)

    return damage


def models() -> Iterator[Case]:
    """Yield models that are missing, damaged or of another kind."""
    here = (
        "model=path",
        "model.path={folder}/model",
        f"filter.name=local-dir:{miniworld.CLIP}",
        "filter.pretrained=null",
    )
    for words in (
        ("model.path=nowhere",),
        ("model.path=",),
        ("model.path=/",),
        (f"model.path={miniworld.CLIP}",),
        (f"model.path={miniworld.CAPTIONS}",),
        ("model.path=a b c",),
        ("filter.name=local-dir:nowhere",),
        ("filter.name=local-dir:",),
        ("filter.name=NoSuchModel",),
        (f"filter.name=local-dir:{miniworld.MODEL}",),
        ("model.family=no.such.module",),
        ("model.scoring_decoder=nowhere",),
    ):
        yield Case(words)
    for name, data in (
        ("model_index.json", None),
        ("model_index.json", ""),
        ("model_index.json", "{"),
        ("model_index.json", '{"_class_name": "SomeOtherPipeline"}'),
        ("model_index.json", "[]"),
        ("scheduler/scheduler_config.json", "{"),
    ):
        yield Case(here, "", _damaged_model(name, data))
    yield Case(here, "", _write("model", "a file"))
    yield Case(here, "", _write("model/weights.ckpt", b"\x80"))


def outputs() -> Iterator[Case]:
    """Yield outputs that cannot be written to."""
    for out in (
        "memory://x", "http://example.invalid/x", "https://example.invalid/x", "nonsense://x", "s3://key:secret@bucket/x",
        "/", "/proc/x", "/dev/null", "/dev/null/x", "{folder}/file", "{folder}/file/below",
    ):  # fmt: skip
        yield Case((f"out={out}",), "", _write("file", "text"))


def commands() -> Iterator[Case]:
    """Yield commands with wrong arguments."""
    on_outputs = ("status", "verify", "report", "repair", "retry-failed", "tune", "refilter", "export")
    for command in on_outputs:
        more = {"refilter": ("out2=x",), "export": ("to=x",)}.get(command, ())
        for out in ("nowhere", "{folder}", "{folder}/file", "memory://x"):
            yield Case((command, out, *more), "", _write("file", "text"))
        yield Case((command,), "")
        yield Case((command, "nowhere", "--nonsense", *more), "nonsense")
    for words in (
        ("nonsense",),
        ("stats", "out"),
        ("pairs",),
        ("pairs", "captions.path=nowhere.txt"),
        ("pairs", "writer=nonsense"),
        ("pairs", "edits=0"),
        ("pairs", "sweep.seeds=3"),
        ("pairs", "checks.near_duplicate=2"),
        ("replay", "nowhere", "key"),
        ("replay", "nowhere"),
        ("attention", ""),
        ("attention", "a red circle", "out=x.jpg"),
        ("attention", "a red circle", "groups=0"),
        ("attention",),
        ("completion", "csh"),
        ("completion",),
        ("plan", "probe=-1"),
        ("plan", "probe=nan"),
        ("plan", "probe=text"),
        ("plan", "limit=0"),
        ("finetune",),
        ("finetune", "data=nowhere.jsonl", "writer.model=x", "out=x"),
        ("finetune", "epochs=0"),
        ("finetune", "learning_rate=nan", "data=x", "writer.model=x", "out=x"),
        ("export", "nowhere", "to=x", "split=[0.5,0.6]"),
        ("export", "nowhere", "to=x", "rows=0"),
        ("export", "nowhere", "to=x", "format=csv"),
        ("refilter", "nowhere", "out2=x", "sampler.steps=3"),
        ("refilter", "nowhere", "out2=x", "duplicates=-1"),
    ):
        yield Case(words)


CASES = [*settings(), *files(), *models(), *outputs(), *commands()]


def test_the_corpus_is_large():
    assert len(CASES) >= 300
    assert len({case.words for case in CASES if not case.prepare}) > 250


@pytest.mark.long
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_bad_input_is_one_line(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "here").mkdir()
    (tmp_path / "files").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    if case.prepare:
        case.prepare(tmp_path / "files")
    begun = time.monotonic()
    code = main(
        [word.format(folder=tmp_path / "files") if "{folder}" in word else word for word in case.words]
    )
    assert time.monotonic() - begun < LONGEST
    printed = capsys.readouterr()
    assert code == 2, printed.err
    (line,) = printed.err.splitlines()
    assert line.startswith("pairforge: ")
    assert "Traceback" not in line
    assert case.names in line
    assert list((tmp_path / "here").iterdir()) == []
