from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from transformers import EvalPrediction

from pipeline.finetune.finetune_settings import Base, Finetune, Kept, Lora
from pipeline.finetune.model import load_base
from pipeline.finetune.training import IGNORED, TrainResult, _accuracy, _arguments, last_checkpoint, train
from pipeline.finetune.triple_dataset import encode_triple
from stages.records import CaptionPair
from stages.writers.completion_format import CompletionFormat

TRIPLES = [
    CaptionPair(f"a {colour} {kind}", "make it night", f"a {colour} {kind} at night")
    for colour in ("red", "blue", "green", "white")
    for kind in ("ball", "box", "tree")
]


def trained(base: Path, folder: Path, **settings: object) -> tuple[TrainResult, list[str], torch.Tensor]:
    """The result of a training on ``TRIPLES``, its lines, and the embeddings of the trained model."""
    torch.manual_seed(0)
    loaded, lines = load_base(Base(model=str(base)), Lora()), list[str]()
    completion = CompletionFormat()
    train_set = [encode_triple(triple, loaded.tokenizer, completion) for triple in TRIPLES[:9]]
    validation_set = [encode_triple(triple, loaded.tokenizer, completion, True) for triple in TRIPLES[9:]]
    values = {"epochs": 2, "batch": 4, "micro_batch": 2, "learning_rate": 0.01} | settings
    result = train(
        loaded.model, loaded.tokenizer, train_set, validation_set, Finetune(**values), folder, lines.append
    )
    return result, lines, loaded.model.get_input_embeddings().weight.detach().cpu()


def test_an_epoch_has_a_line_and_the_best_one_is_kept(base: Path, tmp_path: Path) -> None:
    result, lines, _ = trained(base, tmp_path / "checkpoints")
    assert [line.partition(":")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]
    assert all("loss nan" not in line for line in lines)
    assert f"right {result.validation_accuracy:.2%} of tokens" in lines[result.kept_epoch - 1]
    assert f"validation {result.validation_loss:.4f}" in lines[result.kept_epoch - 1]


def test_the_seed_decides_the_weights(base: Path, tmp_path: Path) -> None:
    _, _, first = trained(base, tmp_path / "a", keep=Kept.last)
    _, _, again = trained(base, tmp_path / "b", keep=Kept.last)
    _, _, other = trained(base, tmp_path / "c", keep=Kept.last, seed=1)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_small_batches_add_up_to_a_step() -> None:
    arguments = _arguments(Finetune(batch=16, micro_batch=4, writer=Base(device="cpu")), Path("c"))
    assert (arguments.per_device_train_batch_size, arguments.gradient_accumulation_steps) == (4, 4)
    arguments = _arguments(Finetune(batch=4, micro_batch=16, writer=Base(device="cpu")), Path("c"))
    assert (arguments.per_device_train_batch_size, arguments.gradient_accumulation_steps) == (4, 1)


def test_lora_has_a_higher_default_rate() -> None:
    cpu = Base(device="cpu")
    plain, lora = (_arguments(Finetune(writer=cpu, lora=Lora(rank=rank)), Path("c")) for rank in (0, 4))
    assert plain.learning_rate < lora.learning_rate
    assert _arguments(Finetune(writer=cpu, learning_rate=0.5), Path("c")).learning_rate == 0.5


def test_accuracy_compares_each_token_with_the_next() -> None:
    labels = np.array([[IGNORED, IGNORED, 5, 6, 7], [IGNORED, 1, 2, IGNORED, IGNORED]])
    predictions = np.array([[9, 5, 6, 0, 9], [1, 0, 9, 9, 9]])
    assert _accuracy(EvalPrediction(predictions, labels)) == {"accuracy": 3 / 5}


def test_an_incomplete_checkpoint_is_passed_over(tmp_path: Path) -> None:
    assert last_checkpoint(tmp_path) is None
    for step in (9, 10, 11):
        (tmp_path / f"checkpoint-{step}").mkdir()
    for step in (9, 10):
        state = tmp_path / f"checkpoint-{step}" / "trainer_state.json"
        state.write_text(json.dumps({"global_step": step}))
    (tmp_path / "checkpoint-11" / "trainer_state.json").write_text('{"global')
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-10"
