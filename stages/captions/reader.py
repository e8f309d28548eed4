"""Reads caption pairs: opens a source by its kind, parses each record into a pair, and applies checks."""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from json.encoder import encode_basestring as quoted
from pathlib import Path
from typing import Any

from stages.captions.csv_file import open_csv
from stages.captions.fields import Layout, check_given, find_layout, roles
from stages.captions.hf_dataset import open_dataset
from stages.captions.images import Flaw, PairWithImage, add_images, read_field
from stages.captions.jsonl import open_jsonl
from stages.captions.pair_checks import Check
from stages.captions.pair_options import OPTIONS, parse_options
from stages.captions.parquet_file import open_parquet, parquet_files
from stages.captions.source import CaptionsError, CaptionSource, ImagePart, SourceRecord, type_name
from stages.captions.source_plugin import open_module
from stages.captions.text_file import open_text
from stages.captions.webdataset import open_webdataset, tar_files
from stages.records import CaptionPair, Quarantined

_FORMATS = {
    "jsonl": open_jsonl,
    "csv": open_csv,
    "parquet": open_parquet,
    "dataset": open_dataset,
    "text": open_text,
    "webdataset": open_webdataset,
}
_SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
    ".txt": "text",
    ".tar": "webdataset",
}


_TEXT = {str}
_UNUSABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_QUARANTINED = 500
"""Characters of a quarantined record that are kept."""


def open_captions(source: CaptionSource, checks: Sequence[Check] = ()) -> Iterator[CaptionPair | Quarantined]:
    """Yields the source's caption pairs in its order and, in the place of each bad record, the reason.

    A pair passes the checks in their order. One record at a time is in memory.

    Raises:
        CaptionsError: at once if the source is missing or its kind or columns are unknown; on reading if it breaks off
            before the first record.
    """
    check_given(source.fields or {}, roles(source.captions_only))
    if source.limit is not None and source.limit < 0:
        raise CaptionsError(f"limit is {source.limit}: give a number of caption pairs, or null for all")
    kind = _kind_by_name(source.path) if source.kind == "auto" else source.kind
    records = _FORMATS[kind](source) if kind in _FORMATS else open_module(source, [*_FORMATS, "auto"])
    return _read(records, replace(source, kind=kind), checks)


def _read(
    records: Iterator[SourceRecord], source: CaptionSource, checks: Sequence[Check]
) -> Iterator[CaptionPair | Quarantined]:
    count = 0
    for record, pair in _parse(records, source):
        if count == source.limit:
            return
        if isinstance(pair, CaptionPair):
            for check in checks:
                if reason := check(pair, record.file):
                    yield _quarantine(record, reason)
                    break
            else:
                count += 1
                yield pair
        else:
            yield _quarantine(record, pair)


def _parse(
    records: Iterator[SourceRecord], source: CaptionSource
) -> Iterator[tuple[SourceRecord, CaptionPair | str]]:
    """Yields each record with its pair, or with the reason why it has none. Threads read images."""
    parse = pair_parser(source)
    parsed = ((record, parse(record)) for record in records)
    for record, pair in parsed:
        if isinstance(pair, PairWithImage):
            yield from add_images(chain([(record, pair)], parsed), source)
            return
        yield record, pair


def _quarantine(record: SourceRecord, reason: str) -> Quarantined:
    if record.raw is None:
        text = to_json(record.fields or {})
    else:
        # A character has at most four bytes; a line may have millions.
        text = record.raw[: 4 * _QUARANTINED].decode("utf-8", "replace").rstrip("\r\n")
    return Quarantined(record.file, record.line, reason, text[:_QUARANTINED])


def _kind_by_name(path: str) -> str:
    file = Path(path)
    if file.is_dir() and parquet_files(path):
        return "parquet"
    if file.is_dir() and tar_files(path):
        return "webdataset"
    name = file.name.lower().removesuffix(".gz")
    kind = _SUFFIXES.get(Path(name).suffix)
    if kind is None or file.is_dir():
        raise CaptionsError(
            f"{path}: the name does not show the format ({', '.join(_SUFFIXES)}): give captions=jsonl, csv, parquet, "
            "webdataset or dataset"
        )
    return kind


def pair_parser(source: CaptionSource) -> Callable[[SourceRecord], CaptionPair | PairWithImage | str]:
    """Returns a function from a record to its caption pair, or to the reason why it has none.

    The texts are stripped; all other fields go to `meta`, options in their canonical form, the path of an image too.
    The pair of a lone caption has no instruction, no output caption and no options.
    """
    # The records of a source have few different sets of names.
    split_names = functools.lru_cache(maxsize=1024)(functools.partial(_split_names, source))

    def parse(record: SourceRecord) -> CaptionPair | PairWithImage | str:
        fields = record.fields
        if fields is None:
            return record.flaw
        layout, others, template, named, pictured = split_names(tuple(fields))
        if isinstance(layout, str):
            return layout
        values = [fields[name] for name in layout]
        texts = [value.strip() if isinstance(value, str) else "" for value in values]
        # Printable text, which nearly all is, has no flaw.
        if not (all(texts) and "".join(texts).isprintable()):
            for name, value in zip(layout, values, strict=True):
                if flaw := text_flaw(value):
                    return f"field {name!r} {flaw}"
        if source.captions_only:
            texts += ["", ""]
        elif texts[0] == texts[2]:
            return f"fields {layout[0]!r} and {layout[2]!r} are the same text: there is no edit to show"
        options = ""
        if named:
            given = parse_options({name: fields[name] for name in named}, source.kind == "csv")
            if isinstance(given, str):
                return given
            if given:
                fields, options = fields | given, to_json(given)
        image: str | ImagePart | None = None
        if pictured:
            value = read_field(fields[source.image_field], source.image_field)
            if isinstance(value, Flaw):
                return value.reason
            image = value
            if isinstance(image, ImagePart):
                # Its bytes are not text, and its place is in the pair.
                others, template = [name for name in others if name != source.image_field], ""
        more = [fields[name] for name in others]
        # Other fields are plain texts in most inputs: the encoder takes four times as long.
        meta = template % tuple(map(quoted, more)) if template and _TEXT.issuperset(map(type, more)) else ""
        if not (meta and meta.isascii()):
            try:
                meta = to_json(dict(zip(others, more, strict=True)))
            except RecursionError:
                return "its other fields are nested too deeply"
        pair = CaptionPair(texts[0], texts[1], texts[2], meta, record.line, options)
        return pair if image is None else PairWithImage(pair, image)

    return parse


def _split_names(
    source: CaptionSource, names: tuple[str, ...]
) -> tuple[Layout | str, list[str], str, list[str], bool]:
    """Returns the layout or the reason why there is none, the other names, their JSON template, the options' names.

    And whether there is a field for an image.
    """
    layout = find_layout(names, source.fields or {}, roles(source.captions_only))
    if isinstance(layout, str):
        return layout, [], "", [], False
    others = [name for name in names if name not in layout]
    options = [] if source.captions_only else [name for name in others if name in OPTIONS]
    pictured = source.image_field in others
    if not _TEXT.issuperset(map(type, others)):
        return layout, others, "", options, pictured
    others.sort()
    template = ", ".join(f"{quoted(name).replace('%', '%%')}: %s" for name in others)
    return layout, others, f"{{{template}}}", options, pictured


def text_flaw(value: object) -> str:
    """Returns the reason why a field's value is not usable text; "" if it is."""
    if value is None:
        return "is null, not text"
    if isinstance(value, bytes):
        return "is not UTF-8"
    if not isinstance(value, str):
        return f"is {type_name(value)}, not text"
    text = value.strip()
    if not text:
        return "is empty"
    unusable = _UNUSABLE.search(text)
    if unusable:
        code = ord(unusable[0])
        kind = "half of a surrogate pair" if code >= 0xD800 else "a control character"
        return f"holds {kind} (U+{code:04X})"
    if not any(letter.isprintable() and not letter.isspace() for letter in text):
        return "has nothing that can be seen"
    return ""


def to_json(fields: dict[str, Any]) -> str:
    """Encodes fields as valid JSON with sorted keys. Values without a JSON form (dates, decimals, NaN) become text."""
    try:
        text = _ENCODER.encode(fields)
    except ValueError:
        text = _ENCODER.encode(_finite(fields))
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            # Half of a surrogate pair has no UTF-8 form; it has an escape.
            text = json.dumps(json.loads(text), sort_keys=True)
    return text


def _as_text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _finite(value: Any) -> Any:
    """Replaces NaN and infinities by their names."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, allow_nan=False, default=_as_text)
