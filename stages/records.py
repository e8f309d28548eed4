"""What travels between the stages: frozen records, all of them plain data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from json.encoder import encode_basestring as quoted
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.formats.answers import WrittenPair

Texts = tuple[str, str, str, str]
"""Input caption, instruction, output caption and ``meta`` of a caption pair."""


@dataclass(frozen=True)
class CaptionPair:
    """One line of input.

    ``meta`` is the JSON text of the line's other fields (``"{}"`` if there are none): text, so that every
    sample of a dataset has the same column type whatever its neighbours carry. ``line`` is where the pair stood in
    its file, counted from 1 (0: unknown); two pairs are equal wherever they stood.
    """

    input: str
    edit: str
    output: str
    meta: str = "{}"
    line: int = field(default=0, compare=False)

    @cached_property
    def id(self) -> str:
        """16 hex digits of the SHA-256 of the canonical pair: a pair's name for seeds, keys and files.

        Canonical is the JSON list of the three texts, without spaces, in UTF-8.
        """
        (made,) = caption_pairs([(self.input, self.edit, self.output, self.meta)], [self.line])
        return made.id

    @cached_property
    def text(self) -> str:
        """The fields as JSON with sorted keys, as ``json.dumps`` would write them."""
        (made,) = caption_pairs([(self.input, self.edit, self.output, self.meta)], [self.line])
        return made.text


def caption_pairs(texts: Iterable[Texts], lines: Iterable[int]) -> list[CaptionPair]:
    """Pairs with their ids and texts, each string quoted once: for plans of millions, which ask for both.

    Args:
        texts: of each pair.
        lines: as many, where each pair stood.
    """
    return escaped_pairs(((*own, *_escaped(own), line) for own, line in zip(texts, lines, strict=True)))


def _escaped(texts: Texts) -> Texts:
    source, edit, target, meta = texts
    return quoted(source)[1:-1], quoted(edit)[1:-1], quoted(target)[1:-1], quoted(meta)[1:-1]


def escaped_pairs(rows: Iterable[tuple[str, str, str, str, str, str, str, str, int]]) -> list[CaptionPair]:
    """``caption_pairs`` of texts that are escaped already.

    Args:
        rows: of each pair the four texts, the same as they stand between JSON's quotation marks, and the line.
    """
    made, new, become = [], object.__new__, _FIELDS.__set__
    for source, edit, target, meta, a, b, c, d, line in rows:
        pair = new(CaptionPair)
        # Not by the constructor: a frozen one sets field by field, which takes longer than all the rest.
        become(
            pair,
            {
                "input": source,
                "edit": edit,
                "output": target,
                "meta": meta,
                "line": line,
                "id": sha256(f'["{a}","{b}","{c}"]'.encode()).hexdigest()[:16],
                "text": f'{{"edit": "{b}", "input": "{a}", "line": {line}, "meta": "{d}", "output": "{c}"}}',
            },
        )
        made.append(pair)
    return made


_FIELDS = vars(CaptionPair)["__dict__"]


@dataclass(frozen=True)
class Quarantined:
    """A line of input that cannot be used, and why."""

    file: str
    line: int
    reason: str
    text: str


@dataclass(frozen=True)
class Unit:
    """A fixed slice of caption pairs, planned before anything runs: what is retried, committed, resumed."""

    index: int
    pairs: tuple[CaptionPair, ...]


@dataclass(frozen=True)
class Candidate:
    """One (source image, edit image) at one (seed, guidance, τ), with its scores and its verdict.

    ``reason`` is empty for a kept candidate. Scores are the CLIP similarities of InstructPix2Pix, each in [-1, 1];
    ``measures`` is what else was measured, by name.
    """

    pair_id: str
    sample_index: int
    seed: int
    tau: float
    cfg_scale: float
    clip_sim_0: float
    clip_sim_1: float
    clip_sim_dir: float
    clip_sim_image: float
    kept: bool
    reason: str
    measures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Sample:
    """A kept candidate with its images, each uint8 (H, W, 3): what a shard holds under one KEY, encoded there."""

    key: str
    input_image: NDArray[np.uint8]
    edited_image: NDArray[np.uint8]
    edit_prompt: str
    metadata: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Rejected:
    """The images of a sample's rejected candidates, each uint8 (H, W, 3): what other thresholds may keep.

    ``edited_images`` goes by the candidate's place among the sample's own.
    """

    key: str
    input_image: NDArray[np.uint8]
    edited_images: dict[int, NDArray[np.uint8]]


@dataclass(frozen=True)
class Failure:
    """A caption pair that could not be rendered, and why: unlike a rejection, it may be tried again."""

    pair_id: str
    reason: str


@dataclass(frozen=True)
class WordMaps:
    """Where the denoiser looked for each word of a caption while it drew an image.

    Attributes:
        edit: the image's place among a preview's edits; -1 is the source.
        words: of the caption, in its order.
        png: grey, one word's map below the other, each scaled to its own greatest value.
    """

    edit: int
    words: tuple[str, ...]
    png: bytes


@dataclass(frozen=True)
class Preview:
    """One sample of a caption pair for the contact sheet and the report: the source and every edit, PNG, kept or not.

    ``maps`` are the attention maps of the source and of one edit, where they were asked for.
    """

    pair: CaptionPair
    source: bytes
    edits: tuple[bytes, ...]
    candidates: tuple[Candidate, ...]
    maps: tuple[WordMaps, ...] = ()


@dataclass(frozen=True)
class UnitResult:
    """What became of a unit: all its candidates' scores, the images of those kept.

    ``rejected`` has those of the others, where they are asked for. Of a unit of captions ``answers`` is all there is.

    ``rows`` counts denoiser rows; ``seconds`` is wall clock by activity: denoise, decode (prompts
    encoded, latents decoded), score, rescore, preview. With a scoring decoder ``rescored`` counts the candidates that
    were decoded in full and scored again, and ``shifts`` has for each score the sum of the absolute differences.
    """

    unit: Unit
    samples: tuple[Sample, ...]
    candidates: tuple[Candidate, ...]
    failures: tuple[Failure, ...]
    previews: tuple[Preview, ...]
    rows: int
    seconds: dict[str, float]
    rescored: int = 0
    shifts: dict[str, float] = field(default_factory=dict)
    rejected: tuple[Rejected, ...] = ()
    answers: tuple[WrittenPair, ...] = ()
