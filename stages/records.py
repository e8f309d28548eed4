"""What travels between the stages: frozen records, all of them plain data."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from json.encoder import encode_basestring as quoted
from typing import Any


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

    @property
    def id(self) -> str:
        """16 hex digits of the SHA-256 of the canonical pair: a pair's name for seeds, keys and files.

        Canonical is the JSON list of the three texts, without spaces, in UTF-8.
        """
        return str(self.__dict__.get("_id") or self._written()[0])

    @property
    def text(self) -> str:
        """The fields as JSON with sorted keys, as ``json.dumps`` would write them."""
        return str(self.__dict__.get("_text") or self._written()[1])

    def _written(self) -> tuple[str, str]:
        source, edit, target = quoted(self.input), quoted(self.edit), quoted(self.output)
        name = hashlib.sha256(f"[{source},{edit},{target}]".encode()).hexdigest()[:16]
        text = (
            f'{{"edit": {edit}, "input": {source}, "line": {self.line}, '
            f'"meta": {quoted(self.meta)}, "output": {target}}}'
        )
        # Kept beside the fields: a plan of millions asks more than once, and a field would enter comparisons.
        self.__dict__["_id"], self.__dict__["_text"] = name, text
        return name, text


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


@dataclass(frozen=True)
class Sample:
    """A kept candidate with its images, encoded: what a shard holds under one KEY."""

    key: str
    input_image: bytes
    edited_image: bytes
    edit_prompt: str
    metadata: dict[str, Any]


@dataclass(frozen=True)
class Failure:
    """A caption pair that could not be rendered, and why: unlike a rejection, it may be tried again."""

    pair_id: str
    reason: str


@dataclass(frozen=True)
class Preview:
    """One sample of a caption pair for the contact sheet: the source and every edit, PNG, kept or not."""

    pair: CaptionPair
    source: bytes
    edits: tuple[bytes, ...]
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True)
class UnitResult:
    """What became of a unit: all its candidates' scores, the images of those kept.

    ``rows`` counts denoiser rows; ``seconds`` is wall clock by activity: denoise, decode (prompts
    encoded, latents decoded), score, rescore, encode. With a scoring decoder ``rescored`` counts the candidates that
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
