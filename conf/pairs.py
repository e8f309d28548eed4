"""The schema of what ``pairforge pairs`` is told: how caption pairs are written from captions."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from omegaconf import MISSING

from conf.running import Cluster, LogLevel, Tracker
from conf.schema import Captions, Dtype


class WriterKind(Enum):
    grammar = "grammar"
    transformers = "transformers"
    openai = "openai"
    vllm = "vllm"


class PairsFile(Enum):
    jsonl = "jsonl"
    parquet = "parquet"


class Ask(Enum):
    """``few_shot`` by ``writer.template``, ``completion`` in ``writer.format``, ``auto`` what the model takes."""

    auto = "auto"
    completion = "completion"
    few_shot = "few_shot"


@dataclass
class Marks:
    """The completion format of a fine-tuned model: what stands behind a caption, an instruction, an edited caption."""

    separator: str = "\n##\n"
    divider: str = "\n%%\n"
    stop: str = "\nEND"


@dataclass
class Writer:
    """Who writes. ``model`` is a folder or hub name (transformers, vllm), or the name that the endpoint knows (openai).

    ``ask`` with auto takes ``template`` (a name that comes along, or a file) where the model has a chat template or is
    behind an endpoint, ``format`` elsewhere. ``temperature`` 0 takes the likeliest words; ``top_p`` is the mass of the
    likeliest tokens that are drawn from; ``max_tokens`` of an answer.

    transformers: ``rows`` of a batch, which are part of what an answer depends on. openai: ``endpoint`` is the address
    that ends with /v1; the key is read from the environment's variable ``key_env``, null is without; ``concurrency``
    requests at a time, of which each may take ``timeout`` seconds and is sent again up to ``retries`` times;
    ``requests_per_minute`` of a worker, null is as fast as it goes. vllm: ``context`` is the longest prompt with its
    answer, in tokens, null is the model's own; ``gpu_memory`` is the share of each GPU that it may take. Of these two
    ``structured`` asks for answers in a JSON schema.
    """

    kind: WriterKind = MISSING
    model: str = MISSING
    revision: str | None = None
    device: str = "auto"
    dtype: Dtype = Dtype.auto
    ask: Ask = Ask.auto
    format: Marks = field(default_factory=Marks)
    template: str = "instructpix2pix"
    temperature: float = 0.7
    top_p: float = 1.0
    max_tokens: int = 256
    rows: int = 16
    endpoint: str = ""
    key_env: str | None = "OPENAI_API_KEY"
    concurrency: int = 8
    timeout: float = 60.0
    retries: int = 5
    requests_per_minute: float | None = None
    structured: bool = False
    context: int | None = None
    gpu_memory: float = 0.9


@dataclass
class Checks:
    """What is written and not kept, each with its reason.

    ``model``: the image model whose tokenizer says how long a caption may be, opened by ``family`` as
    ``model.family`` of a run. ``instruction_words`` at most.
    ``near_duplicate``: the likeness (Jaccard, of runs of five letters) from which one of two pairs is left away, of one
    caption or of two; null looks at none. ``block``: words that are not to appear; ``block_file``: a file of them, one
    a line. ``language``: of the edited captions, such as en, with ``language_least`` probability. ``moderation``: a
    text classifier of transformers, whose ``moderation_label`` may have ``moderation_most`` probability.
    """

    model: str = MISSING
    revision: str | None = None
    family: str | None = None
    instruction_words: int = 40
    near_duplicate: float | None = 0.9
    block: list[str] = field(default_factory=list)
    block_file: str | None = None
    language: str | None = None
    language_least: float = 0.5
    moderation: str | None = None
    moderation_revision: str | None = None
    moderation_label: str = "toxic"
    moderation_most: float = 0.5


@dataclass
class Examples:
    """The report shows as many ``pairs`` that were kept."""

    pairs: int = 12


@dataclass
class PairsConfig:
    """``edits`` of each caption are asked for. Captions are planned, retried and committed by ``unit_pairs``. The pairs
    are in OUT/pairs.jsonl, or with ``file=parquet`` in OUT/pairs.parquet.

    ``seed``, ``limit``, ``strict``, ``extend`` and the groups captions, cluster and tracker are those of a run.
    """

    out: str = "pairs"
    seed: int = 0
    limit: int | None = None
    edits: int = 1
    file: PairsFile = PairsFile.jsonl
    unit_pairs: int = 16
    stage: str = "stages.write_pairs.WritePairs"
    strict: bool = False
    extend: bool = False
    log: LogLevel = LogLevel.error
    captions: Captions = MISSING
    writer: Writer = MISSING
    checks: Checks = field(default_factory=Checks)
    cluster: Cluster = MISSING
    tracker: Tracker = field(default_factory=Tracker)
    sheet: Examples = field(default_factory=Examples)

    def stays_local(self) -> bool:
        """Return True if everything that the run reads is on this machine, so that no hub is needed."""
        models = [self.checks.model, self.checks.moderation]
        if self.writer.kind in (WriterKind.transformers, WriterKind.vllm):
            models.append(self.writer.model)
        return all(Path(path).is_dir() for path in models if path) and Path(self.captions.path).exists()
