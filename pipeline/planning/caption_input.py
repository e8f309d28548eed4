"""Reads the caption pairs of the configured input, and takes the digest of the input files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import p2p
from conf.messages import error_line
from conf.schema import Captions, CaptionsKind, Config, Edit, TooLong
from p2p.models.model_limits import model_limits
from stages.captions import CaptionsError, CaptionSource, open_captions
from stages.captions.blocklist import blocklist_check, load_blocklist
from stages.captions.pair_checks import duplicate_check, token_limit_check
from stages.captions.pair_options import options_check
from stages.captions.parquet_file import parquet_files
from stages.captions.webdataset import tar_files
from stages.images.place import image_root
from stages.records import CaptionPair, Quarantined


def read(config: Config) -> Iterator[CaptionPair | Quarantined]:
    """Yields the input's pairs and bad records in their order.

    Raises CaptionsError and p2p.ModelError.
    """
    settings = config.model
    model = settings.path, settings.revision, settings.family, settings.max_sequence_length
    return read_captions(config.captions, config.limit, model, config.edit, config.out)


def read_captions(
    captions: Captions, limit: int | None, model: tuple[Any, ...], edit: Edit | None, out: str = ""
) -> Iterator[CaptionPair | Quarantined]:
    """Yields, in order, each new pair that the model can take, and a quarantined line for each other record.

    Args:
        captions: the records to read.
        limit: the number of good pairs after which reading stops; None reads all.
        model: the arguments of `p2p.load_tokenizer`; the model's tokenizer counts.
        edit: the run's settings of edits; None for a source of captions without edits.
        out: the output, for images that have no file.

    Raises:
        CaptionsError: as `open_captions` and `load_blocklist`.
        p2p.ModelError: the model has no tokenizer.
    """
    fields = {name: column for name, column in asdict(captions.fields).items() if column}
    if captions.fields.image is not None:
        fields["image"] = captions.fields.image
    source = CaptionSource(
        captions.kind,
        captions.path,
        captions.split,
        limit,
        fields or None,
        edit is None,
        image_root(captions, out),
        0 if edit is None else max(model_limits(*model[:3]).image_size or (0,)),
        captions.image_upscale,
    )
    blocked = load_blocklist(captions.block, captions.block_file)
    checks = [blocklist_check(blocked)] if blocked else []
    prompts = p2p.load_tokenizer(*model)
    if edit is None or edit.too_long is TooLong.error:
        checks.append(token_limit_check(prompts.count, prompts.limit, prompts.spaces))
    if edit is not None:
        limits = model_limits(*model[:3])
        checks.append(options_check(prompts, limits, method=edit.method.value, too_long=edit.too_long.value))
    return open_captions(source, [*checks, duplicate_check()])


def source_digest(config: Config) -> str:
    """Returns the SHA-256 of the input files' bytes and of how they are read, or "" if there is no local file.

    Equal digests under one model give equal pairs, which then need not be read again.
    """
    return digest_of_files(config.captions, config.limit, config.edit.too_long.value)


def digest_of_files(captions: Captions, limit: int | None, way: str) -> str:
    """Returns the ``source_digest`` of files; ``way`` names other settings with which they are read."""
    path = Path(captions.path)
    # A user's module may yield other pairs from the same file.
    if captions.kind not in set(CaptionsKind) - {CaptionsKind.dataset}:
        return ""
    files = [path] if path.is_file() else tar_files(captions.path)
    if captions.kind != CaptionsKind.webdataset and not path.is_file():
        files = parquet_files(captions.path) or files
    if not files:
        return ""
    blocked = load_blocklist(captions.block, captions.block_file)
    fields, images = asdict(captions.fields), [captions.images, captions.image_upscale]
    images.append(fields.pop("image"))
    how: list[object] = [captions.kind, limit, fields, way, *([blocked] if blocked else [])]
    if images != [None, Captions().image_upscale, None]:
        # Digests of inputs without such settings stay as they were.
        how.append(images)
    digest = hashlib.sha256(json.dumps(how).encode())
    for file in files:
        try:
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
        except OSError as error:
            reason = (error.strerror or error_line(error)).lower()
            raise CaptionsError(f"captions.path={file} cannot be read: {reason}") from error
    return digest.hexdigest()
