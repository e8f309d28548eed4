"""What ``pairforge finetune`` is told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from conf.compose import ConfigError, one_line
from conf.pairs import Marks
from conf.schema import CaptionsKind
from pipeline.config import bounds
from stages.storage.store import no_folder

USAGE = "pairforge finetune data=triples.jsonl writer.model=FOLDER out=FOLDER [epochs=20] [lora.rank=8] …"


@dataclass
class Base:
    """The causal language model to begin with: a transformers folder, or a name on the hub and its revision.

    ``format`` is what it is to be asked with: ``writer.format`` of ``pairforge pairs``.
    """

    model: str = MISSING
    revision: str | None = None
    device: str = "auto"
    format: Marks = field(default_factory=Marks)


@dataclass
class Lora:
    """Low-rank updates of every linear layer in place of all weights; rank 0 is without."""

    rank: int = 0
    alpha: float = 16.0
    dropout: float = 0.0


class Kept(Enum):
    best = "best"
    last = "last"


@dataclass
class Finetune:
    """``kind``, ``split`` and ``limit`` say how ``data`` is read, as for caption pairs.

    ``validation`` is the share of captions that are kept from training. What is watched is how many of the edited
    caption's tokens the model foresees, given the instruction; when these have not become more for ``patience`` epochs
    training ends, and the weights of the best epoch are kept. ``keep=last`` runs all epochs and keeps the last one's.
    ``batch`` examples make a step, ``micro_batch`` of them at a time. The rate rises over a twentieth of the steps and
    falls to zero; null is 5e-5, and 2e-4 with LoRA.
    """

    data: str = MISSING
    out: str = MISSING
    kind: CaptionsKind = CaptionsKind.auto
    split: str | None = None
    limit: int | None = None
    writer: Base = field(default_factory=Base)
    lora: Lora = field(default_factory=Lora)
    epochs: int = 20
    batch: int = 16
    micro_batch: int = 16
    learning_rate: float | None = None
    validation: float = 0.1
    patience: int = 4
    keep: Kept = Kept.best
    seed: int = 0


def read(arguments: Sequence[str]) -> Finetune:
    """The settings of the command line. Raises ConfigError."""
    strange = [argument for argument in arguments if "=" not in argument or argument.startswith("-")]
    if strange:
        raise ConfigError(f"{strange[0]!r} is no setting: write key=value: {USAGE}")
    try:
        merged = OmegaConf.merge(OmegaConf.structured(Finetune), OmegaConf.from_dotlist(list(arguments)))
        missing = sorted(OmegaConf.missing_keys(merged))
        if missing:
            raise ConfigError(f"{missing[0]} has no value: {USAGE}")
        asked: Any = OmegaConf.to_object(merged)
    except OmegaConfBaseException as error:
        raise ConfigError(f"{one_line(error)}: {USAGE}") from error
    problem = next(_problems(asked), None)
    if problem:
        raise ConfigError(problem)
    return asked  # type: ignore[no-any-return]


def _problems(asked: Finetune) -> Iterator[str]:
    yield from bounds.problems(
        (
            ("limit", asked.limit, 2),
            ("lora.rank", asked.lora.rank, 0),
            ("epochs", asked.epochs, 1),
            ("batch", asked.batch, 1),
            ("micro_batch", asked.micro_batch, 1),
            ("patience", asked.patience, 1),
        )
    )
    if asked.batch % min(asked.micro_batch, asked.batch):
        yield f"batch={asked.batch} must be a multiple of micro_batch={asked.micro_batch}"
    if not 0 < asked.validation < 1:
        yield f"validation={asked.validation:g} must lie between 0 and 1: it is a share of the captions"
    if asked.learning_rate is not None and asked.learning_rate <= 0:
        yield f"learning_rate={asked.learning_rate:g} must be over 0, or null"
    if not 0 <= asked.lora.dropout < 1:
        yield f"lora.dropout={asked.lora.dropout:g} must be from 0 to below 1"
    if "://" in asked.out:
        yield f"out={asked.out} must be a folder of this machine: checkpoints are written to it"
    if not asked.data or not asked.writer.model:
        yield "data and writer.model must not be empty"
    obstacle = no_folder(Path(asked.out))
    if obstacle:
        yield f"out={asked.out} {obstacle}: give a folder"
