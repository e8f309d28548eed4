"""The run that writes caption pairs from captions."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console

import p2p
from conf.pairs import Checks, PairsConfig, WriterKind
from conf.running import ClusterKind
from p2p.models.family_registry import family_digest
from pipeline.dataset.funnel import Funnel
from pipeline.dataset.quarantine import write_failures
from pipeline.pairs import pairs_report
from pipeline.pairs.pack_pairs import complete_funnel, pack_and_count
from pipeline.pairs.two_step_settings import name_of
from pipeline.planning.caption_input import digest_of_files, read_captions
from pipeline.planning.plan import Plan, PlanError, load
from pipeline.planning.run_fingerprint import FORMAT, Models
from pipeline.report.template import REPORT
from pipeline.tasks.funnel_table import pair_table
from pipeline.tasks.two_step_output import PAIRS
from stages.captions.blocklist import load_blocklist
from stages.records import CaptionPair, Quarantined, UnitResult
from stages.storage.commits import committed_units
from stages.storage.store import Store
from stages.write import encode_answers
from stages.writers import factory
from stages.writers.base import WriterError
from stages.writers.language_id import Language

# Settings of checks that enter the plan by the content they name.
_BY_CONTENT = ("model", "revision", "family", "block", "block_file", "moderation", "moderation_revision")


@dataclass(frozen=True)
class PairTask:
    """Reads captions and writes caption pairs of them; see ``ImageTask``."""

    config: PairsConfig
    nouns = ("captions", "caption pairs")

    def freeze(self, store: Store) -> PairTask:
        return self

    def check(self) -> None:
        """Raise WriterError for an API key or a library that is missing, before anything is planned."""
        writer = self.config.writer
        if writer.kind is WriterKind.openai:
            from stages.writers.openai_writer import key_of

            key_of(writer)
        if writer.kind is WriterKind.vllm and self.config.cluster.kind is ClusterKind.local:
            from stages.writers import vllm_writer

            vllm_writer.check()

    def read(self) -> Iterator[CaptionPair | Quarantined]:
        """Yield the captions in their order, as pairs without instruction and output, and the quarantined lines.

        Raises CaptionsError and p2p.ModelError.
        """
        config, checks = self.config, self.config.checks
        prompts = checks.model, checks.revision, checks.family
        return read_captions(config.captions, config.limit, prompts, None, config.out)

    def check_images(self) -> None:
        """Do nothing: a writer does not look at images."""

    def source_digest(self) -> str:
        return digest_of_files(self.config.captions, self.config.limit, "alone")

    def identify(self) -> Models:
        """Identify the writer, and in place of CLIP the image model whose tokenizer checks.

        Raises WriterError and p2p.ModelError.
        """
        checks = self.config.checks
        return Models(factory.identify(self.config.writer), p2p.fingerprint(checks.model, checks.revision))

    def advice(self, store: Store, plan: Plan) -> str:
        """Return "": a writer takes any caption."""
        return ""

    def settings(self, captions_sha256: str, models: Models) -> dict[str, Any]:
        """Every setting that changes results, by its dotted name. Files and models enter by their content.

        Raises WriterError, CaptionsError and p2p.ModelError for what is missing, WriterError for an unknown language.
        """
        config, checks = self.config, self.config.checks
        if checks.language:
            Language(checks.language, checks.language_least)
        settings: dict[str, Any] = {
            "format": FORMAT,
            "task": PAIRS,
            "seed": config.seed,
            "edits": config.edits,
            "file": config.file.value,
            "unit_pairs": config.unit_pairs,
            "stage": config.stage,
            "captions": captions_sha256,
            "captions.block": list(load_blocklist(config.captions.block, config.captions.block_file)),
            "model.fingerprint": models.generator,
            **{f"writer.{name}": value for name, value in factory.result_settings(config.writer).items()},
            **{f"checks.{name}": value for name, value in asdict(checks).items() if name not in _BY_CONTENT},
            "checks.model": models.clip,
            "checks.block": list(load_blocklist(checks.block, checks.block_file, "checks")),
            "checks.moderation": _moderation(checks),
        }
        if checks.family:
            settings["checks.family"] = checks.family
            settings["checks.family.source"] = family_digest(checks.family)
        return settings

    @property
    def shard_samples(self) -> None:
        """There are no shards: near-duplicates are known when all units are committed."""
        return None

    @property
    def encode(self) -> Callable[[UnitResult], dict[str, bytes]]:
        return encode_answers

    def finish(self, plan: Plan, store: Store, commits: Iterable[dict[str, Any]]) -> Funnel:
        """Pack the units and write the report."""
        funnel = pack_and_count(store, plan, commits)
        write_failures(store, commits)
        self._write_report(store, funnel)
        return funnel

    def write_report(self, store: Store) -> bool:
        """Write report/index.html again. Raises PlanError for a run that is not complete."""
        funnel = complete_funnel(store)
        if funnel is None:
            done = f"{len(committed_units(store)):,} of {load(store).units:,} units"
            raise PlanError(f"{store.url} is not complete ({done}): end its run first")
        self._write_report(store, funnel)
        return True

    def _write_report(self, store: Store, funnel: Funnel) -> None:
        writer = self.config.writer
        pairs_report.write(store, funnel, writer.model or writer.kind.value, self.config.sheet.pairs)

    def tell(self, funnel: Funnel, first_kept: float | None) -> None:
        """Print the funnel, and where the caption pairs are."""
        console = Console(highlight=False, soft_wrap=True)
        console.print(pair_table(funnel))
        if first_kept is not None:
            console.print(f"\nFirst caption pair kept after {first_kept:.0f} s")
        kind, out = self.config.file, self.config.out
        where = out if "://" in out else os.path.relpath(out)
        path = f"{where}/{name_of(kind)}"
        console.print(
            f"\nThe caption pairs are in {path}: pairforge captions={kind.value} captions.path={path}\n"
            f"{where}/{REPORT} shows what they are"
        )
        if funnel.failed:
            console.print(f"{funnel.failed} captions got no answer: quarantine/pairs.jsonl gives the reasons")


def _moderation(checks: Checks) -> str | None:
    if checks.moderation is None:
        return None
    try:
        return p2p.fingerprint(checks.moderation, checks.moderation_revision)
    except p2p.ModelError as error:
        raise WriterError(f"checks.moderation={error}") from error
