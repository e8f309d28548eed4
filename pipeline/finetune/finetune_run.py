"""From triples and a model to the fine-tuned model's folder, going on where an earlier call ended."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from enum import Enum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import transformers

from conf.compose import ConfigError
from pipeline.finetune.finetune_settings import Finetune
from pipeline.finetune.model import Loaded, load, with_lora
from pipeline.finetune.training import Trained, train
from pipeline.finetune.triple_dataset import Example, Triples, encode, read_triples
from stages.records import CaptionPair
from stages.storage.store import Store
from stages.writers.completion_format import CompletionFormat, FormatError

CHECKPOINTS, RECORD = "checkpoints", "finetune.json"
_LIBRARIES = ("torch", "transformers", "accelerate", "peft")
_FREE = ("out", "writer.device")  # settings that may change from one call to the next


def run(asked: Finetune, say: Callable[[str], None]) -> Trained:
    """Write ``asked.out``: model, tokenizer and finetune.json, which says what was done. ``say`` gets the lines.

    While it trains ``out/checkpoints`` holds what it goes on from; that is removed at the end. LoRA's updates are
    merged into the weights, so that the folder loads as any model's does, in the precision of the one it came from.

    Raises ConfigError, CaptionsError and WriterError.
    """
    out = Path(asked.out)
    triples = read_triples(asked)
    told = _settings(asked) | {"triples": _digest(triples)}
    transformers.set_seed(asked.seed)
    base = load(asked.writer, asked.lora)
    examples = (_encoded(triples.train, base, asked), _encoded(triples.validation, base, asked, True))
    _begin(out, told)
    counts = {
        "train": len(triples.train),
        "validation": len(triples.validation),
        "refused": len(triples.refused),
    }
    say(f"{asked.data}: " + ", ".join(f"{name} {count:,}" for name, count in counts.items()))
    for bad in triples.refused[:3]:
        say(f"refused {bad.file}:{bad.line}: {bad.reason}")
    model = with_lora(base.model, asked.lora) if asked.lora.rank else base.model
    trained = train(model, base.tokenizer, examples, asked, out / CHECKPOINTS, say)
    if asked.lora.rank:
        model = model.merge_and_unload()
    model.to(base.dtype).save_pretrained(out)
    base.tokenizer.save_pretrained(out)
    record = {"settings": told, "counts": counts, "trained": asdict(trained), "versions": _versions()}
    (out / RECORD).write_text(json.dumps(record, indent=2) + "\n")
    shutil.rmtree(out / CHECKPOINTS)
    say(
        f"{asked.out}: epoch {trained.kept_epoch} of {trained.epochs}, right {trained.validation_accuracy:.2%} of "
        "validation's tokens"
    )
    return trained


def _encoded(
    triples: Sequence[CaptionPair], base: Loaded, asked: Finetune, edited_only: bool = False
) -> list[Example]:
    completion = CompletionFormat(**asdict(asked.writer.format))
    examples = []
    for triple in triples:
        try:
            example = encode(triple, base.tokenizer, completion, edited_only)
        except FormatError as error:
            raise ConfigError(f"data={asked.data}: line {triple.line}: {error}") from error
        length = len(example["input_ids"])
        if length > base.window:
            raise ConfigError(
                f"data={asked.data}: line {triple.line} has {length} tokens, and the model takes {base.window}: "
                "shorten it or leave it out"
            )
        examples.append(example)
    return examples


def _begin(out: Path, told: dict[str, Any]) -> None:
    """Make the folder, or see that what it holds was begun with the same settings and triples."""
    begun = out / CHECKPOINTS / "settings.json"
    if begun.is_file():
        try:
            before = json.loads(begun.read_text())
        except ValueError as error:
            raise ConfigError(
                f"{begun} is not what was written (cut off, or edited): give another folder, or remove {out}"
            ) from error
        other = sorted(key for key in told.keys() | before.keys() if told.get(key) != before.get(key))
        if other:
            raise ConfigError(
                f"out={out} was begun with other {', '.join(other)}: give those again to go on, or another folder"
            )
        return
    # A call that was killed may have left the folders, and a file that it had not finished.
    if any(path.is_file() and not path.name.startswith(f".{begun.name}.") for path in out.rglob("*")):
        raise ConfigError(f"out={out} holds something already: give an empty folder")
    Store(str(begun.parent)).write(begun.name, (json.dumps(told, indent=2) + "\n").encode())


def _settings(asked: Finetune) -> dict[str, Any]:
    """The settings that decide the outcome, by dotted names."""
    return {key: value for key, value in _dotted(asdict(asked)) if key not in _FREE}


def _dotted(settings: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from _dotted(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value.value if isinstance(value, Enum) else value


def _digest(triples: Triples) -> str:
    texts = [
        [one.input, one.edit, one.output] for part in (triples.train, triples.validation) for one in part
    ]
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()


def _versions() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
