"""Write: a unit's captions through a writer and the checks, in one process that holds both."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch

from conf.pairs import PairsConfig
from stages.candidates.requests import derive_seed
from stages.records import CaptionPair, Failure, Unit, UnitResult, WrittenPair
from stages.writers.base import Answer, Asked, NoAnswer
from stages.writers.checks import Checker
from stages.writers.factory import make


class WritePairs:
    """The stage: models are loaded once, then each call takes a unit of captions and returns what was written."""

    def __init__(self, config: PairsConfig, writer_fingerprint: str) -> None:
        """Load the writer and what checks. Raises WriterError, an error that no other unit would escape."""
        torch.set_num_threads(config.cluster.threads)
        self._config = config
        self._checker = Checker(config.checks)
        self._writer = make(config.writer)

    def __call__(self, unit: Unit) -> UnitResult:
        """Ask for every edit of every caption. A caption of which one did not come is a failure of its own."""
        edits, started = range(self._config.edits), time.perf_counter()
        asked = [
            Asked(caption.input, derive_seed(self._config.seed, caption.id, index))
            for caption in unit.pairs
            for index in edits
        ]
        answers = self._writer.write(asked)
        written = time.perf_counter()
        failures, kept = [], []
        for place, caption in enumerate(unit.pairs):
            part = slice(place * len(edits), (place + 1) * len(edits))
            missing = [one.reason for one in answers[part] if isinstance(one, NoAnswer)]
            if missing:
                failures.append(Failure(caption.id, missing[0]))
            else:
                own = [one for one in answers[part] if isinstance(one, Answer)]
                kept += self._checked(caption, asked[part], own)
        return UnitResult(
            unit=unit,
            samples=(),
            candidates=(),
            failures=tuple(failures),
            previews=(),
            rows=len(asked),
            seconds={"write": written - started, "check": time.perf_counter() - written},
            answers=tuple(kept),
        )

    def _checked(
        self, caption: CaptionPair, asked: Sequence[Asked], answers: Sequence[Answer]
    ) -> list[WrittenPair]:
        reasons = self._checker(caption.input, answers)
        return [
            WrittenPair(
                pair_id=caption.id,
                sample_index=index,
                seed=one.seed,
                caption=caption.input,
                instruction=answer.instruction,
                edited_caption=answer.edited,
                kept=not reason,
                reason=reason,
                text=answer.text,
                meta=caption.meta,
            )
            for index, (one, answer, reason) in enumerate(zip(asked, answers, reasons, strict=True))
        ]
