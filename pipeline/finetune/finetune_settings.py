"""Settings of ``pairforge finetune``: their names, defaults and checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from omegaconf import MISSING

from conf import compose
from conf.bounds import NOT_NEGATIVE, POSITIVE, Bound, at_least, between, bounded
from conf.config_errors import ConfigError
from conf.pairs import Marks
from conf.schema import CaptionsKind
from stages.storage.store import no_folder


@dataclass
class Base:
    """The causal language model to train: a transformers folder, or a name on the hub and its revision.

    ``format`` marks the parts of a completion, as ``writer.format`` of ``pairforge pairs``.
    """

    model: str = MISSING
    revision: str | None = None
    device: str = "auto"
    format: Marks = field(default_factory=Marks)


@dataclass
class Lora:
    """Low-rank updates of every linear layer; rank 0 trains all weights instead."""

    rank: int = bounded(NOT_NEGATIVE, 0)
    alpha: float = bounded(POSITIVE, 16.0)
    dropout: float = bounded(Bound(lambda share: 0 <= share < 1, "be at least 0 and below 1"), 0.0)


class Kept(Enum):
    best = "best"
    last = "last"


LEARNING_RATE = Bound(lambda rate: rate > 0, "be greater than 0, or null")
VALIDATION = Bound(lambda share: 0 < share < 1, "lie between 0 and 1 (a share of the captions)")


@dataclass
class Finetune:
    """``kind``, ``split`` and ``limit`` say how ``data`` is read, as for caption pairs.

    ``validation`` is the share of captions held out from training. After each epoch the accuracy on the tokens of their
    edited captions is measured, given the instruction. Training stops when it has not risen for ``patience`` epochs,
    and the weights of the best epoch are kept. ``keep=last`` runs all epochs and keeps the last weights. A step takes
    ``batch`` examples, ``micro_batch`` at a time. ``learning_rate`` rises over the first twentieth of the steps and
    falls to zero; null means 5e-5, or 2e-4 with LoRA.
    """

    data: str = MISSING
    out: str = MISSING
    kind: CaptionsKind = CaptionsKind.auto
    split: str | None = None
    limit: int | None = bounded(at_least(2), None)
    writer: Base = field(default_factory=Base)
    lora: Lora = field(default_factory=Lora)
    epochs: int = bounded(at_least(1), 20)
    batch: int = bounded(at_least(1), 16)
    micro_batch: int = bounded(at_least(1), 16)
    learning_rate: float | None = bounded(LEARNING_RATE, None)
    validation: float = bounded(VALIDATION, 0.1)
    patience: int = bounded(at_least(1), 4)
    keep: Kept = Kept.best
    seed: int = bounded(between(0, 2**32 - 1), 0)


def read_settings(arguments: Sequence[str]) -> Finetune:
    """The settings of the command line. Raises ConfigError."""
    settings: Finetune = compose.read_settings(Finetune, arguments, "finetune")
    if settings.batch % min(settings.micro_batch, settings.batch):
        raise ConfigError(f"batch={settings.batch} must be a multiple of micro_batch={settings.micro_batch}")
    if "://" in settings.out:
        raise ConfigError(f"out={settings.out} must be a local folder: checkpoints are written to it")
    if not settings.data or not settings.writer.model:
        raise ConfigError("data and writer.model must not be empty")
    if obstacle := no_folder(Path(settings.out)):
        raise ConfigError(f"out={settings.out} {obstacle}: give a folder")
    return settings
