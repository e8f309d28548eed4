"""The training itself: transformers' Trainer, checkpoints after every epoch, the best epoch's weights kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import (
    DataCollatorForSeq2Seq,
    EarlyStoppingCallback,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.trainer_callback import PrinterCallback

from pipeline.finetune.examples import IGNORED, Example
from pipeline.finetune.model import on_gpu
from pipeline.finetune.settings import Finetune

RATE, LORA_RATE = 5e-5, 2e-4
WARMUP = 0.05

Say = Callable[[str], None]


@dataclass(frozen=True)
class Trained:
    """Epochs that were run, that whose weights were kept, and the validation loss (nats a token) at it."""

    epochs: int
    best_epoch: int
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
        self._say(f"{of}: loss {self._train:.4f}, validation {kwargs['metrics']['eval_loss']:.4f}")


def train(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: tuple[Sequence[Example], Sequence[Example]],
    asked: Finetune,
    checkpoints: Path,
    say: Say,
) -> Trained:
    """Train ``model`` in place on the first of ``examples``, watching the loss of the second.

    Goes on from the last checkpoint in ``checkpoints``, if any, to the weights that an uninterrupted run has.
    """
    train_set, validation_set = (Dataset.from_list(list(part)) for part in examples)
    trainer = Trainer(
        model=model,
        args=_arguments(asked, checkpoints),
        train_dataset=train_set,
        eval_dataset=validation_set,
        data_collator=DataCollatorForSeq2Seq(tokenizer, label_pad_token_id=IGNORED),
        callbacks=[EarlyStoppingCallback(asked.patience), _EpochLines(say)],
    )
    trainer.remove_callback(PrinterCallback)
    last = last_checkpoint(checkpoints)
    if last:
        say(f"goes on from {last.name}")
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    state = trainer.state
    losses = {
        round(entry["epoch"]): float(entry["eval_loss"])
        for entry in state.log_history
        if "eval_loss" in entry
    }
    best = min(losses, key=lambda epoch: (losses[epoch], epoch))
    return Trained(max(losses), best, losses[best])


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
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        restore_callback_states_from_checkpoint=True,
        seed=asked.seed,
        use_cpu=not gpu,
        bf16=gpu,
        dataloader_pin_memory=gpu,
        disable_tqdm=True,
        report_to="none",
    )
