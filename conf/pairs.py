"""Schema of ``pairforge pairs``, which writes caption pairs from captions."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from omegaconf import MISSING

from conf.bounds import ANY_SEED, CHANCE, NOT_NEGATIVE, PART, POSITIVE, SHARE, Bound, at_least, bounded
from conf.running import Cluster, LogLevel, Tracker
from conf.schema import Captions, Config, Dtype


class WriterKind(Enum):
    grammar = "grammar"
    transformers = "transformers"
    openai = "openai"
    vllm = "vllm"


LOADED_WRITERS = (WriterKind.transformers, WriterKind.vllm)
"""Writers whose model is a folder or a hub name."""


class PairsFile(Enum):
    jsonl = "jsonl"
    parquet = "parquet"


class Ask(Enum):
    """``few_shot`` uses ``writer.template``, ``completion`` uses ``writer.format``, ``auto`` chooses by the model."""

    auto = "auto"
    completion = "completion"
    few_shot = "few_shot"


@dataclass
class Marks:
    """Marks of the completion format: the text after a caption, an instruction and an edited caption."""

    separator: str = "\n##\n"
    divider: str = "\n%%\n"
    stop: str = "\nEND"


@dataclass
class Writer:
    """The writer of caption pairs.

    - ``model``: a folder or hub name (transformers, vllm), or the name that the endpoint knows (openai).
    - ``ask``: few_shot, completion or auto. auto uses ``template`` if the model has a chat template or is behind an
      endpoint, and ``format`` otherwise. ``template`` is a built-in name or a file.
    - ``temperature``: 0 takes the most likely tokens; ``top_p`` is the mass of the tokens that are drawn from.
    - ``max_tokens``: the longest answer, in tokens.
    - ``rows``: prompts in a batch of transformers; an answer depends on it.
    - ``endpoint``: an address that ends with /v1. The key comes from the environment variable ``key_env``; null
      sends none.
    - ``concurrency``, ``timeout``, ``retries``: requests at a time, seconds for each, and how often it is sent
      again.
    - ``requests_per_minute``: the limit for each worker; null means no limit.
    - ``structured``: asks an endpoint or vLLM for answers in a JSON schema.
    - ``context``: the longest prompt with its answer, in tokens, for vLLM; null means that of the model.
    - ``gpu_memory``: the share of each GPU that vLLM may take.
    """

    kind: WriterKind = MISSING
    model: str = MISSING
    revision: str | None = None
    device: str = "auto"
    dtype: Dtype = Dtype.auto
    ask: Ask = Ask.auto
    format: Marks = field(default_factory=Marks)
    template: str = "instructpix2pix"
    temperature: float = bounded(NOT_NEGATIVE, 0.7)
    top_p: float = bounded(SHARE, 1.0)
    max_tokens: int = bounded(at_least(1), 256)
    rows: int = bounded(at_least(1), 16)
    endpoint: str = ""
    key_env: str | None = "OPENAI_API_KEY"
    concurrency: int = bounded(at_least(1), 8)
    timeout: float = bounded(POSITIVE, 60.0)
    retries: int = bounded(NOT_NEGATIVE, 5)
    requests_per_minute: float | None = bounded(POSITIVE, None)
    structured: bool = False
    context: int | None = bounded(at_least(1), None)
    gpu_memory: float = bounded(SHARE, 0.9)


@dataclass
class Checks:
    """Checks of the answers; each refused answer has a reason.

    - ``model``: the image model whose tokenizer limits the length of a caption; ``family`` opens it, as
      ``model.family``.
    - ``instruction_words``: most words of an instruction.
    - ``near_duplicate``: the similarity (Jaccard, of runs of five letters) at which one of two pairs is refused, of
      one caption or of two; null checks none.
    - ``block``, ``block_file``: words that must not appear, and a file of them, one in each line.
    - ``language``: the language of the edited captions, such as en, with at least ``language_least`` probability.
    - ``moderation``: a text classifier of transformers; ``moderation_label`` may have at most ``moderation_most``
      probability.
    """

    model: str = MISSING
    revision: str | None = None
    family: str | None = None
    instruction_words: int = bounded(at_least(1), 40)
    near_duplicate: float | None = bounded(Bound(SHARE.holds, f"{SHARE.requirement}, or null"), 0.9)
    block: list[str] = field(default_factory=list)
    block_file: str | None = None
    language: str | None = None
    language_least: float = bounded(CHANCE, 0.5)
    moderation: str | None = None
    moderation_revision: str | None = None
    moderation_label: str = "toxic"
    moderation_most: float = bounded(CHANCE, 0.5)


@dataclass
class Examples:
    """Examples in the report: ``pairs`` is the number of kept ones."""

    pairs: int = bounded(NOT_NEGATIVE, 12)


@dataclass
class PairsConfig:
    """Settings of ``pairforge pairs``.

    - ``edits``: the number of edits that are requested for each caption.
    - ``file``: the pairs are written to OUT/pairs.jsonl, or with parquet to OUT/pairs.parquet.
    - ``unit_pairs``: captions in a unit, which is retried and committed as a whole.

    ``seed``, ``limit``, ``strict``, ``max_failure_rate``, ``extend`` and the groups captions, cluster and tracker
    mean the same as in a run.
    """

    out: str = "pairs"
    seed: int = bounded(ANY_SEED, 0)
    limit: int | None = bounded(at_least(1), None)
    edits: int = bounded(at_least(1), 1)
    file: PairsFile = PairsFile.jsonl
    unit_pairs: int = bounded(at_least(1), 16)
    stage: str = "stages.write_pairs.WritePairs"
    strict: bool = False
    max_failure_rate: float = bounded(PART, 0.2)
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
        if self.writer.kind in LOADED_WRITERS:
            models.append(self.writer.model)
        return all(Path(path).is_dir() for path in models if path) and Path(self.captions.path).exists()


Settings = Config | PairsConfig
"""The settings of either kind of run: one that makes samples, or one that writes caption pairs."""
