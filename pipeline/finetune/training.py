"""Training by the Trainer of transformers: a checkpoint after every epoch, early stopping, the best weights kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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

Log = Callable[[str], None]


@dataclass(frozen=True)
class TrainResult:
    """The epochs run, the epoch whose weights were kept, and its results on the validation examples.

    ``validation_accuracy`` is the share of labelled tokens that the model predicts as the most likely next token;
    ``validation_loss`` is in nats per token.
    """

    epochs: int
    kept_epoch: int
    validation_accuracy: float
    validation_loss: float


class _EpochLog(TrainerCallback):
    """Logs a line for each epoch."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        epoch = f"epoch {round(state.epoch or 0)}/{round(args.num_train_epochs)}"
        metrics = kwargs["metrics"]
        # The Trainer logs the loss of an epoch before it evaluates.
        loss = next((entry["loss"] for entry in reversed(state.log_history) if "loss" in entry), float("nan"))
        self._log(
            f"{epoch}: loss {loss:.4f}, validation {metrics['eval_loss']:.4f}, "
            f"right {metrics['eval_accuracy']:.2%} of tokens"
        )


def train(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    train_set: Sequence[Example],
    validation_set: Sequence[Example],
    settings: Finetune,
    checkpoints: Path,
    log: Log,
) -> TrainResult:
    """Train ``model`` in place, and stop by the accuracy on ``validation_set``.

    The validation loss would stop it too early: it rises when the model is sure of one of several valid tokens, while
    the accuracy still improves. Resumes from the last of ``checkpoints``, with the weights of an uninterrupted run as
    the result.
    """
    stopping = [EarlyStoppingCallback(settings.patience)] if settings.keep is Kept.best else []
    trainer = Trainer(
        model=model,
        args=_arguments(settings, checkpoints),
        train_dataset=train_set,
        eval_dataset=validation_set,
        data_collator=DataCollatorForSeq2Seq(tokenizer, label_pad_token_id=IGNORED),
        compute_metrics=_accuracy,
        preprocess_logits_for_metrics=_predict,
        callbacks=[*stopping, _EpochLog(log)],
    )
    trainer.remove_callback(PrinterCallback)
    last = last_checkpoint(checkpoints)
    if last:
        log(f"resumes from {last.name}")
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    results = {
        round(entry["epoch"]): (float(entry["eval_accuracy"]), float(entry["eval_loss"]))
        for entry in trainer.state.log_history
        if "eval_loss" in entry
    }
    last_epoch = max(results)
    best_epoch = max(results, key=lambda epoch: (results[epoch][0], -epoch))
    kept_epoch = best_epoch if settings.keep is Kept.best else last_epoch
    return TrainResult(last_epoch, kept_epoch, *results[kept_epoch])


def _predict(logits: Tensor | tuple[Tensor, ...], labels: Tensor) -> Tensor:
    """(examples, tokens, vocabulary) → (examples, tokens): the logits themselves would fill the memory."""
    return (logits[0] if isinstance(logits, tuple) else logits).argmax(-1)


def _accuracy(evaluation: EvalPrediction) -> dict[str, float]:
    labels = evaluation.label_ids[:, 1:]
    right = evaluation.predictions[:, :-1] == labels
    return {"accuracy": float(right[labels != IGNORED].mean())}


def last_checkpoint(folder: Path) -> Path | None:
    """The latest complete checkpoint: the Trainer writes trainer_state.json last."""
    states = []
    for path in folder.glob("checkpoint-*/trainer_state.json"):
        with suppress(ValueError):
            states.append((int(json.loads(path.read_text())["global_step"]), path.parent))
    return max(states)[1] if states else None


def _arguments(settings: Finetune, checkpoints: Path) -> TrainingArguments:
    gpu = on_gpu(settings.writer)
    micro_batch = min(settings.micro_batch, settings.batch)
    return TrainingArguments(
        output_dir=str(checkpoints),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=micro_batch,
        per_device_eval_batch_size=micro_batch,
        gradient_accumulation_steps=settings.batch // micro_batch,
        learning_rate=settings.learning_rate or (LORA_RATE if settings.lora.rank else RATE),
        lr_scheduler_type="linear",
        warmup_steps=WARMUP,
        eval_strategy="epoch",
        save_strategy="epoch",
        logging_strategy="epoch",
        save_total_limit=1,  # besides the best
        load_best_model_at_end=settings.keep is Kept.best,
        metric_for_best_model="eval_accuracy",
        greater_is_better=True,
        restore_callback_states_from_checkpoint=True,
        seed=settings.seed,
        use_cpu=not gpu,
        bf16=gpu,
        dataloader_pin_memory=gpu,
        disable_tqdm=True,
        report_to="none",
    )
