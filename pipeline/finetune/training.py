"""The training itself: transformers' Trainer, checkpoints after every epoch, one epoch's weights kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset
from torch import Tensor
from transformers import (
    DataCollatorForSeq2Seq,
    EarlyStoppingCallback,
    EvalPrediction,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.trainer_callback import PrinterCallback

from pipeline.finetune.finetune_settings import Finetune, Kept
from pipeline.finetune.model import on_gpu
from pipeline.finetune.triple_dataset import IGNORED, Example

RATE, LORA_RATE = 5e-5, 2e-4
WARMUP = 0.05

Say = Callable[[str], None]


@dataclass(frozen=True)
class Trained:
    """Epochs that were run, that whose weights were kept, and how it does on the validation examples.

    ``validation_accuracy`` is the share of labelled tokens that are the likeliest after all before them;
    ``validation_loss`` is in nats a token.
    """

    epochs: int
    kept_epoch: int
    validation_accuracy: float
    validation_loss: float


class _EpochLines(TrainerCallback):
    """A line an epoch."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._train = float("nan")

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._train = kwargs["logs"].get("loss", self._train)

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        of = f"epoch {round(state.epoch or 0)}/{round(args.num_train_epochs)}"
        found = kwargs["metrics"]
        self._say(
            f"{of}: loss {self._train:.4f}, validation {found['eval_loss']:.4f}, "
            f"right {found['eval_accuracy']:.2%} of tokens"
        )


def train(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: tuple[Sequence[Example], Sequence[Example]],
    asked: Finetune,
    checkpoints: Path,
    say: Say,
) -> Trained:
    """Train ``model`` in place on the first of ``examples``, watching the accuracy on the second.

    The loss would stop it too early: it rises with every token that the model is sure of and that could have been
    another, while ever more of the tokens are right.

    Goes on from the last checkpoint in ``checkpoints``, if any, to the weights that an uninterrupted run has.
    """
    train_set, validation_set = (Dataset.from_list(list(part)) for part in examples)
    stopping = [EarlyStoppingCallback(asked.patience)] if asked.keep is Kept.best else []
    trainer = Trainer(
        model=model,
        args=_arguments(asked, checkpoints),
        train_dataset=train_set,
        eval_dataset=validation_set,
        data_collator=DataCollatorForSeq2Seq(tokenizer, label_pad_token_id=IGNORED),
        compute_metrics=_accuracy,
        preprocess_logits_for_metrics=_likeliest,
        callbacks=[*stopping, _EpochLines(say)],
    )
    trainer.remove_callback(PrinterCallback)
    last = last_checkpoint(checkpoints)
    if last:
        say(f"goes on from {last.name}")
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    state = trainer.state
    found = {
        round(entry["epoch"]): (float(entry["eval_accuracy"]), float(entry["eval_loss"]))
        for entry in state.log_history
        if "eval_loss" in entry
    }
    last_epoch = max(found)
    best = max(found, key=lambda epoch: (found[epoch][0], -epoch))
    kept = best if asked.keep is Kept.best else last_epoch
    return Trained(last_epoch, kept, *found[kept])


def _likeliest(logits: Tensor | tuple[Tensor, ...], labels: Tensor) -> Tensor:
    """(rows, tokens, vocabulary) → (rows, tokens): kept in place of the logits, which would fill the memory."""
    return (logits[0] if isinstance(logits, tuple) else logits).argmax(-1)


def _accuracy(found: EvalPrediction) -> dict[str, float]:
    due = found.label_ids[:, 1:]
    right = found.predictions[:, :-1] == due
    return {"accuracy": float(right[due != IGNORED].mean())}


def last_checkpoint(folder: Path) -> Path | None:
    """The latest checkpoint that is whole: the Trainer's state is the last of its files to be written."""
    states = []
    for path in folder.glob("checkpoint-*/trainer_state.json"):
        with suppress(ValueError):
            states.append((int(json.loads(path.read_text())["global_step"]), path.parent))
    return max(states)[1] if states else None


def _arguments(asked: Finetune, checkpoints: Path) -> TrainingArguments:
    gpu = on_gpu(asked.writer)
    rows = min(asked.micro_batch, asked.batch)
    return TrainingArguments(
        output_dir=str(checkpoints),
        num_train_epochs=asked.epochs,
        per_device_train_batch_size=rows,
        per_device_eval_batch_size=rows,
        gradient_accumulation_steps=asked.batch // rows,
        learning_rate=asked.learning_rate or (LORA_RATE if asked.lora.rank else RATE),
        lr_scheduler_type="linear",
        warmup_steps=WARMUP,
        eval_strategy="epoch",
        save_strategy="epoch",
        logging_strategy="epoch",
        save_total_limit=1,  # the best is kept besides
        load_best_model_at_end=asked.keep is Kept.best,
        metric_for_best_model="eval_accuracy",
        greater_is_better=True,
        restore_callback_states_from_checkpoint=True,
        seed=asked.seed,
        use_cpu=not gpu,
        bf16=gpu,
        dataloader_pin_memory=gpu,
        disable_tqdm=True,
        report_to="none",
    )
