"""What a plan reads: the configured caption pairs, their digest, and whether the files are those of the last time."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from json.encoder import encode_basestring_ascii as quoted
from pathlib import Path
from typing import Any

from conf.schema import Captions, CaptionsKind, Config, TooLong
from stages.captions import CaptionSource, open_blocks, phrases
from stages.captions.examined import Examined, Pairs, Rules
from stages.captions.examining import examined
from stages.captions.parquet_file import parquet_files
from stages.read import read_pairs


def read(config: Config) -> Iterator[Examined]:
    """The input in its order, block by block: what is rendered, and what is set aside.

    Raises CaptionsError and p2p.ModelError.
    """
    model = config.model.path, config.model.revision, config.model.family
    cut = config.edit.too_long is not TooLong.error
    return read_by(config.captions, config.limit, model, cut)


def read_by(
    captions: Captions, limit: int | None, prompts: tuple[Any, ...], cut: bool = False, alone: bool = False
) -> Iterator[Examined]:
    """``read``, of captions that are held to the tokenizer of ``prompts``, arguments of ``p2p.load_prompts``."""
    source = caption_source(captions, limit, alone)
    blocked = phrases(captions.block, captions.block_file)
    rules = Rules(source.fields or {}, alone, blocked, prompts, cut)
    return read_pairs(examined(open_blocks(source), rules), limit)


def caption_source(captions: Captions, limit: int | None, alone: bool = False) -> CaptionSource:
    """What the settings say of the input, for its reader; ``alone`` for captions of which pairs are to be written."""
    named = {name: column for name, column in asdict(captions.fields).items() if column}
    return CaptionSource(
        kind=captions.kind,
        path=captions.path,
        split=captions.split,
        limit=limit,
        fields=named or None,
        alone=alone,
    )


class PairsDigest:
    """SHA-256 over the pairs that are rendered, in their order: the same captions, wherever the file lies."""

    def __init__(self) -> None:
        self.pairs = 0
        self._hash = hashlib.sha256()

    def add(self, pairs: Pairs) -> None:
        self.pairs += len(pairs)
        each = zip(pairs.names, pairs.metas, strict=True)
        self._hash.update("".join([f'["{name}", {quoted(meta)}]' for name, meta in each]).encode())

    def hex(self) -> str:
        return self._hash.hexdigest()


def source_digest(config: Config) -> str:
    """SHA-256 of the input files' bytes and of how they are read, or "" for what is no local file.

    Equal digests under one model give equal pairs: to read them again is not needed.
    """
    captions = config.captions
    return digest_of_files(captions, [config.limit, asdict(captions.fields), config.edit.too_long.value])


def digest_of_files(captions: Captions, how: Sequence[object]) -> str:
    """``source_digest``, of files that are read as their kind and ``how`` say."""
    path = Path(captions.path)
    # What a module of one's own yields may change though no file does.
    if captions.kind not in set(CaptionsKind) - {CaptionsKind.dataset}:
        return ""
    files = [path] if path.is_file() else parquet_files(captions.path)
    if not files:
        return ""
    blocked = phrases(captions.block, captions.block_file)
    read = [captions.kind, *how, *([blocked] if blocked else [])]
    digest = hashlib.sha256(json.dumps(read).encode())
    for file in files:
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Without Python's search for cycles, of which reading makes none: an eighth of its time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
