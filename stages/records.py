"""Defines the records that travel between the stages, all of them plain data."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from json.encoder import encode_basestring as quoted
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray


@dataclass
class CaptionPair:
    """One record of input.

    ``meta`` is the JSON text of the record's other fields ("{}" without any): as text it has one type in all samples
    of a dataset. ``line`` is the record's line in its file, counted from 1 (0: unknown); it does not count for
    equality. ``options`` is the JSON text of those fields that are options of the pair's sweeps, which override the
    run's settings; "" without any. They are in ``meta`` too, and so in the sample.

    ``image`` refers to a picture of the input caption: the SHA-256 of its bytes, a space, and its place
    (``stages.images.place``); "" without one.

    ``id`` is the pair's name for seeds, keys and files: 16 hex digits of the SHA-256 of the three texts, of the options
    if there are any or there is an image, and of the image's SHA-256, as a JSON list without spaces, in UTF-8.
    """

    input: str
    edit: str
    output: str
    meta: str = "{}"
    line: int = field(default=0, compare=False)
    options: str = ""
    image: str = ""

    # Plans have millions of pairs: a frozen dataclass takes three times as long to make, a cached property has a lock.
    def __post_init__(self) -> None:
        identity = [self.input, self.edit, self.output]
        if self.options or self.image:
            identity.append(self.options)
        if self.image:
            identity.append(self.image_sha256)
        self.id = sha256(orjson.dumps(identity)).hexdigest()[:16]

    @property
    def image_sha256(self) -> str:
        """The SHA-256 of the image's bytes; "" without an image."""
        return self.image.partition(" ")[0]

    @property
    def image_place(self) -> str:
        """The place of the image; "" without one."""
        return self.image.partition(" ")[2]

    @property
    def text(self) -> str:
        """The ``fields`` as ``json.dumps`` writes them with sorted keys and without ASCII escapes."""
        # An f-string takes a third of the encoder's time, and plans have millions of pairs.
        options = f'"options": {quoted(self.options)}, ' if self.options else ""
        image = f'"image": {quoted(self.image)}, ' if self.image else ""
        return (
            f'{{"edit": {quoted(self.edit)}, {image}"input": {quoted(self.input)}, "line": {self.line}, '
            f'"meta": {quoted(self.meta)}, {options}"output": {quoted(self.output)}}}'
        )

    def fields(self) -> dict[str, str | int]:
        """Returns the fields by name, without ``options`` and ``image`` where they are empty."""
        return {
            name: value for name, value in asdict(self).items() if value or name not in ("options", "image")
        }


def instruction_kind(pair: CaptionPair) -> str:
    """Returns the kind of edit in the input record's field ``kind`` or ``edit_kind``; "" if it has neither."""
    meta = json.loads(pair.meta)
    return str(meta.get("kind") or meta.get("edit_kind") or "")


def instruction_kind_or_verb(pair: CaptionPair) -> str:
    """Returns the kind of edit, or else the instruction's first word in lower case: make, add, turn."""
    return instruction_kind(pair) or next(iter(pair.edit.lower().split()), "")


@dataclass(frozen=True)
class Place:
    """The machine that makes a unit, and what it computes on.

    Attributes:
        host: the machine's name.
        device: the name of the GPU, or cpu.
        gpu: the GPU's number or UUID on its machine, "" without one.
        driver: the version of the GPU's driver, "" without a GPU.
        torch: the version of torch, "" for a stage that does not use it.
    """

    host: str
    device: str = "cpu"
    gpu: str = ""
    driver: str = ""
    torch: str = ""

    def __str__(self) -> str:
        return f"{self.host}, GPU {self.gpu}" if self.gpu else self.host


@dataclass(frozen=True)
class Quarantined:
    """A record of input that cannot be used, and the reason."""

    file: str
    line: int
    reason: str
    text: str


@dataclass(frozen=True)
class Unit:
    """A fixed slice of caption pairs, planned before anything runs: what is retried, committed, resumed.

    ``images``: some pair of the plan has an image, so every candidate has the scores of a reconstruction.
    """

    index: int
    pairs: tuple[CaptionPair, ...]
    images: bool = False


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
    """A kept candidate with its images, each uint8 (H, W, 3). A shard holds it, encoded, under its key."""

    key: str
    input_image: NDArray[np.uint8]
    edited_image: NDArray[np.uint8]
    edit_prompt: str
    metadata: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Rejected:
    """The images of a sample's rejected candidates, each uint8 (H, W, 3), which other thresholds may keep.

    The keys of ``edited_images`` are the candidates' places in the sample.
    """

    key: str
    input_image: NDArray[np.uint8]
    edited_images: dict[int, NDArray[np.uint8]]


@dataclass(frozen=True)
class Failure:
    """A caption pair that could not be rendered, and the reason. Unlike a rejection, it may be retried."""

    pair_id: str
    reason: str


@dataclass(frozen=True)
class WordMaps:
    """The denoiser's cross-attention map of each word of a caption.

    Attributes:
        edit: the image's place among a preview's edits; -1 is the source.
        words: the caption's words, in order.
        png: the maps in grey, one below the other, each scaled to its own maximum.
    """

    edit: int
    words: tuple[str, ...]
    png: bytes


@dataclass(frozen=True)
class Preview:
    """One sample of a caption pair for the contact sheet and the report: the source and its edits as image files.

    The contact sheet has all edits of the sample, kept or not. ``maps`` has the attention maps of the source and of
    one edit, if the run records them. For a caption pair with an image, ``other`` has the image that is not the source,
    after its name: "original" or "reconstruction".
    """

    pair: CaptionPair
    source: bytes
    edits: tuple[bytes, ...]
    candidates: tuple[Candidate, ...]
    maps: tuple[WordMaps, ...] = ()
    other: tuple[str, bytes] | None = None


@dataclass(frozen=True)
class WrittenPair:
    """One answer of a writer to a caption.

    ``pair_id`` and ``meta`` are the caption's. ``reason`` is empty for a kept answer. ``text`` is a malformed answer.
    """

    pair_id: str
    sample_index: int
    seed: int
    caption: str
    instruction: str
    edited_caption: str
    kept: bool
    reason: str
    text: str
    meta: str


@dataclass(frozen=True)
class UnitResult:
    """The result of a unit: all candidates' scores and the images of the kept candidates.

    ``rejected`` has the images of the other candidates, if the run keeps them; ``thumbnails`` has small pictures of a
    few of them for the report. The result of a unit of captions has
    ``answers`` only.

    ``rows`` counts denoiser rows; ``seconds`` is wall clock by activity: denoise, decode (prompts encoded, latents
    decoded), score, rescore, preview. With a scoring decoder, ``rescored`` counts the candidates that were decoded in
    full and scored again, and ``shifts`` has the sum of the absolute differences of each score. ``batch_rows`` is the
    number of rows of a batch if memory was too short for those configured, otherwise 0.
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
    thumbnails: tuple[Preview, ...] = ()
    answers: tuple[WrittenPair, ...] = ()
    batch_rows: int = 0
