from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

import pipeline.finetune.finetune_run as finetune
from conf.config_errors import ConfigError
from miniworld.scene import COLOURS, GROUNDS, KINDS
from pipeline.cli import main
from pipeline.dataset.split import choose_split
from pipeline.finetune.finetune_settings import Base, Finetune, Kept, Lora
from pipeline.finetune.training import last_checkpoint


def _settings(base: Path, triples: Path, out: Path, **settings: Any) -> Finetune:
    values = {"epochs": 3, "learning_rate": 0.01, "patience": 3} | settings
    return Finetune(data=str(triples), out=str(out), writer=Base(model=str(base)), **values)


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def _same(first_folder: Path, second_folder: Path) -> bool:
    first, second = _weights(first_folder), _weights(second_folder)
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


@pytest.fixture(scope="module")
def whole(base: Path, triples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an uninterrupted run, and its lines in lines.txt beside it."""
    out = tmp_path_factory.mktemp("whole") / "out"
    lines: list[str] = []
    finetune.run(_settings(base, triples, out), lines.append)
    (out.parent / "lines.txt").write_text("\n".join(lines))
    return out


def test_it_learns_and_writes_a_model_in_the_base_precision(whole: Path, base: Path) -> None:
    names = {path.name for path in whole.iterdir()}
    assert names == {
        "config.json", "generation_config.json", "model.safetensors", "pairforge.json",
        "tokenizer.json", "tokenizer_config.json",
        "finetune.json",
    }  # fmt: skip
    assert not _same(whole, base)
    model = AutoModelForCausalLM.from_pretrained(whole)
    assert model.dtype == torch.float16
    assert AutoTokenizer.from_pretrained(whole).eos_token_id == model.config.eos_token_id
    record = json.loads((whole / "finetune.json").read_text())
    assert (
        record["counts"] == {"train": 74, "validation": 6, "refused": 0} or record["counts"]["refused"] == 0
    )
    assert sum(record["counts"].values()) == 80
    lines = (whole.parent / "lines.txt").read_text().splitlines()
    matches = [re.search(r"validation (\S+), right (\S+)% of tokens", line) for line in lines]
    losses, shares = zip(*((float(match[1]), float(match[2])) for match in matches if match), strict=True)
    assert len(losses) == 3
    assert losses[-1] < losses[0]
    assert record["trained"]["validation_accuracy"] == pytest.approx(max(shares) / 100, abs=1e-4)


@pytest.mark.parametrize("torn", [False, True])
def test_a_resumed_run_equals_an_uninterrupted_one(
    whole: Path, base: Path, triples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, torn: bool
) -> None:
    def stop_at_second(line: str) -> None:
        if line.startswith("epoch 2"):
            raise KeyboardInterrupt

    settings = _settings(base, triples, tmp_path / "out")
    with pytest.raises(KeyboardInterrupt):
        finetune.run(settings, stop_at_second)
    last = last_checkpoint(tmp_path / "out" / "checkpoints")
    assert last
    if torn:  # as after a kill while the next one is written
        (last.parent / "checkpoint-999").mkdir()
        (last.parent / "checkpoint-999" / "trainer_state.json").write_text('{"global')
    lines: list[str] = []
    finetune.run(settings, lines.append)
    assert f"resumes from {last.name}" in lines
    assert not any(line.startswith("epoch 1/") for line in lines)
    assert _same(tmp_path / "out", whole)


def test_it_stops_early_and_keeps_the_best_or_the_last_epoch(
    base: Path, triples: Path, tmp_path: Path
) -> None:
    settings = {"epochs": 12, "patience": 1, "learning_rate": 1.0}
    trained = finetune.run(_settings(base, triples, tmp_path / "best", **settings), lambda _: None)
    assert trained.epochs < 12
    assert trained.kept_epoch == trained.epochs - 1

    whole = finetune.run(
        _settings(base, triples, tmp_path / "last", keep=Kept.last, **settings), lambda _: None
    )
    assert whole.epochs == whole.kept_epoch == 12
    assert not _same(tmp_path / "best", tmp_path / "last")


def test_the_kept_epoch_has_the_best_accuracy_not_loss(base: Path, tmp_path: Path) -> None:
    lines, held_out = [], 0
    for number, (colour, kind, ground) in enumerate(itertools.product(COLOURS, KINDS, GROUNDS[:2])):
        text, new = f"a {colour} {kind} on {ground}", GROUNDS[2:][number % 3]
        output = f"a {colour} {kind} on {new}"
        if choose_split(text, (0.8, 0.2)) != "train":
            held_out += 1
            # A third of the validation set contradicts the training set, so that confidence raises the loss.
            output = f"a {colour} {kind} with {new}" if held_out % 3 == 0 else output
        lines.append({"input": text, "edit": f"put it on {new}", "output": output})
    path = tmp_path / "triples.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))

    lines_logged: list[str] = []
    trained = finetune.run(
        _settings(base, path, tmp_path / "out", epochs=16, patience=16, validation=0.2), lines_logged.append
    )
    matches = [re.search(r"validation (\S+), right (\S+)% of tokens", line) for line in lines_logged]
    losses, shares = zip(*((float(match[1]), float(match[2])) for match in matches if match), strict=True)
    assert len(losses) == 16
    assert trained.kept_epoch == 1 + shares.index(max(shares))
    assert trained.validation_loss > min(losses) + 1e-3
    assert trained.validation_accuracy == pytest.approx(max(shares) / 100, abs=1e-4)


def test_lora_is_merged_into_the_weights(whole: Path, base: Path, triples: Path, tmp_path: Path) -> None:
    finetune.run(_settings(base, triples, tmp_path / "out", lora=Lora(rank=4)), lambda _: None)
    before, after = _weights(base), _weights(tmp_path / "out")
    assert after.keys() == before.keys()
    moved = {key for key in before if not torch.equal(before[key], after[key])}
    assert moved
    assert all("_proj" in key for key in moved)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {path.name for path in whole.iterdir()}


def test_resuming_with_other_settings_is_refused(
    base: Path, triples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(line: str) -> None:
        if line.startswith("epoch 2"):
            raise KeyboardInterrupt

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        finetune.run(_settings(base, triples, out), stop)
    before = sorted(path.name for path in (out / "checkpoints").iterdir())
    arguments = [
        f"data={triples}",
        f"writer.model={base}",
        f"out={out}",
        "epochs=3",
        "learning_rate=0.02",
        "patience=3",
    ]
    assert main.main(["finetune", *arguments]) == 2
    assert "was begun with other values of learning_rate: set" in capsys.readouterr().err
    assert sorted(path.name for path in (out / "checkpoints").iterdir()) == before


def test_a_folder_with_files_is_refused(
    whole: Path, base: Path, triples: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["finetune", f"data={triples}", f"writer.model={base}", f"out={whole}"]) == 2
    assert capsys.readouterr().err == f"pairforge: out={whole} holds a trained model: give another folder\n"


def test_a_triple_longer_than_the_window_is_named(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [{"input": f"a ball {n}", "edit": "make it a box", "output": f"a box {n}"} for n in range(40)]
    lines[6]["output"] = "a box " * 80
    path = tmp_path / "triples.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert main.main(["finetune", f"data={path}", f"writer.model={base}", f"out={tmp_path / 'out'}"]) == 2
    assert "line 7 has" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_missing_or_wrong_model_is_one_line(
    triples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "clip").mkdir()
    (tmp_path / "clip" / "config.json").write_text('{"model_type": "clip_text_model"}')
    for model, reason in (
        ("./nowhere", "there is no such folder"),
        (tmp_path / "clip", "not a causal language model"),
    ):
        arguments = [f"data={triples}", f"writer.model={model}", f"out={tmp_path / 'out'}"]
        assert main.main(["finetune", *arguments]) == 2
        error = capsys.readouterr().err
        assert reason in error
        assert error.count("\n") == 1


def test_a_killed_start_resumes_and_a_torn_file_is_named(tmp_path: Path) -> None:
    out, identity = tmp_path / "out", {"seed": 0}
    (out / "checkpoints").mkdir(parents=True)
    (out / "checkpoints/.settings.json.0123.tmp").write_text('{"se')
    finetune._begin_or_resume(out, identity)
    assert json.loads((out / "checkpoints/settings.json").read_text()) == identity
    finetune._begin_or_resume(out, identity)
    (out / "checkpoints/settings.json").write_text('{"se')
    with pytest.raises(ConfigError, match=r"settings\.json is damaged"):
        finetune._begin_or_resume(out, identity)


def test_a_kill_while_writing_the_settings_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*paths: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", killed)
        with pytest.raises(KeyboardInterrupt):
            finetune._begin_or_resume(tmp_path, {"seed": 0})
    assert not (tmp_path / "checkpoints/settings.json").exists()
    finetune._begin_or_resume(tmp_path, {"seed": 0})
    assert json.loads((tmp_path / "checkpoints/settings.json").read_text()) == {"seed": 0}
