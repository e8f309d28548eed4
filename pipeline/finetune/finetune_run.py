"""One fine-tuning run: reads triples, trains, writes the model folder, and resumes from checkpoints."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, is_dataclass
from enum import Enum
from importlib.metadata import PackageNotFoundError, version
from operator import attrgetter
from pathlib import Path
from typing import Any

import transformers

from conf.config_errors import ConfigError
from conf.setting_keys import setting_types
from pipeline.finetune.finetune_settings import Finetune
from pipeline.finetune.model import BaseModel, add_lora, load_base
from pipeline.finetune.training import TrainResult, train
from pipeline.finetune.triple_dataset import Example, encode_triple, read_triples
from pipeline.planning.run_fingerprint import changes
from stages.records import CaptionPair
from stages.storage.ownership import Holding, claim
from stages.storage.store import Store
from stages.writers.completion_format import CompletionFormat, FormatError

CHECKPOINTS, RECORD = "checkpoints", "finetune.json"
_LIBRARIES = ("torch", "transformers", "accelerate", "peft")
_FREE = ("out", "writer.device")  # settings that may change between calls


def run(settings: Finetune, log: Callable[[str], None]) -> TrainResult:
    """Train, and write the model, its tokenizer and finetune.json (settings, counts, result, versions).

    Resumes from ``out/checkpoints``, which is removed at the end. LoRA updates are merged into the weights, and the
    weights keep the precision of the base model, so that the folder loads like any other model.

    Raises ConfigError, CaptionsError and WriterError.
    """
    out = Path(settings.out)
    with claim(Store(settings.out), "out", Holding.model):
        triples = read_triples(settings)
        texts = [[pair.input, pair.edit, pair.output] for pair in (*triples.train, *triples.validation)]
        digest = hashlib.sha256(json.dumps(texts).encode()).hexdigest()
        identity = _flatten_settings(settings) | {"triples": digest}
        transformers.set_seed(settings.seed)
        base = load_base(settings.writer, settings.lora)
        train_set = _encode_triples(triples.train, base, settings)
        validation_set = _encode_triples(triples.validation, base, settings, edited_only=True)
        _begin_or_resume(out, identity)
    counts = {name: len(lines) for name, lines in vars(triples).items()}
    log(f"{settings.data}: " + ", ".join(f"{name} {count:,}" for name, count in counts.items()))
    for bad in triples.refused[:3]:
        log(f"refused {bad.file}:{bad.line}: {bad.reason}")
    model = add_lora(base.model, settings.lora) if settings.lora.rank else base.model
    result = train(model, base.tokenizer, train_set, validation_set, settings, out / CHECKPOINTS, log)
    if settings.lora.rank:
        model = model.merge_and_unload()
    model.to(base.dtype).save_pretrained(out)
    base.tokenizer.save_pretrained(out)
    record = {"settings": identity, "counts": counts, "trained": asdict(result), "versions": _versions()}
    (out / RECORD).write_text(json.dumps(record, indent=2) + "\n")
    shutil.rmtree(out / CHECKPOINTS)
    log(
        f"{settings.out}: epoch {result.kept_epoch} of {result.epochs}, right {result.validation_accuracy:.2%} of the "
        "validation tokens"
    )
    return result


def _encode_triples(
    triples: Sequence[CaptionPair], base: BaseModel, settings: Finetune, edited_only: bool = False
) -> list[Example]:
    completion = CompletionFormat(**asdict(settings.writer.format))
    examples = []
    for triple in triples:
        try:
            example = encode_triple(triple, base.tokenizer, completion, edited_only)
        except FormatError as error:
            raise ConfigError(f"data={settings.data}: line {triple.line}: {error}") from error
        length = len(example["input_ids"])
        if length > base.window:
            raise ConfigError(
                f"data={settings.data}: line {triple.line} has {length} tokens, and the model takes {base.window}: "
                "shorten it or leave it out"
            )
        examples.append(example)
    return examples


def _begin_or_resume(out: Path, identity: dict[str, Any]) -> None:
    """Record the settings, or check that an earlier call began it with the same settings and triples."""
    record = out / CHECKPOINTS / "settings.json"
    if record.is_file():
        try:
            before = json.loads(record.read_text())
        except ValueError as error:
            raise ConfigError(
                f"{record} is damaged (cut off, or edited): give another folder, or remove {out}"
            ) from error
        changed = ", ".join(key for key, _, _ in changes(before, identity))
        if changed:
            raise ConfigError(
                f"out={out} was begun with other values of {changed}: set them as before to resume, or "
                "give another folder"
            )
        return
    if (out / RECORD).exists():
        raise ConfigError(f"out={out} holds a trained model: give another folder")
    Store(str(record.parent)).write(record.name, (json.dumps(identity, indent=2) + "\n").encode())


def _flatten_settings(settings: Finetune) -> dict[str, Any]:
    """The settings that decide the result, by dotted name."""
    values = {key: attrgetter(key)(settings) for key in setting_types(Finetune) if key not in _FREE}
    return {
        key: value.value if isinstance(value, Enum) else value
        for key, value in values.items()
        if not is_dataclass(value)
    }


def _versions() -> dict[str, str]:
    versions = {}
    for name in _LIBRARIES:
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions
