"""Writes caption pairs: a unit's captions go through a writer and the checks in one process."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

import torch

from conf.pairs import PairsConfig
from stages.candidates.requests import derive_seed
from stages.captions.source import IMAGE
from stages.records import CaptionPair, Failure, Unit, UnitResult, WrittenPair
from stages.writers.base import Answer, EditRequest, NoAnswer
from stages.writers.checks import Checker
from stages.writers.factory import make


class WritePairs:
    """The stage: loads models once; each call takes a unit of captions and returns the answers."""

    def __init__(self, config: PairsConfig, writer_fingerprint: str) -> None:
        """Loads the writer and the checks. Raises WriterError for errors that every unit would meet."""
        torch.set_num_threads(config.cluster.threads)
        self._config = config
        self._checker = Checker(config.checks)
        self._writer = make(config.writer)

    def __call__(self, unit: Unit) -> UnitResult:
        """Writes all edits of all captions. A caption without one of its answers is a failure."""
        edits, started = range(self._config.edits), time.perf_counter()
        requests = [
            EditRequest(caption.input, derive_seed(self._config.seed, caption.id, index))
            for caption in unit.pairs
            for index in edits
        ]
        answers = self._writer.write(requests)
        written = time.perf_counter()
        failures, checked = [], []
        for place, caption in enumerate(unit.pairs):
            part = slice(place * len(edits), (place + 1) * len(edits))
            missing = [answer.reason for answer in answers[part] if isinstance(answer, NoAnswer)]
            if missing:
                failures.append(Failure(caption.id, missing[0]))
            else:
                parsed = [answer for answer in answers[part] if isinstance(answer, Answer)]
                checked += self._check(caption, requests[part], parsed)
        return UnitResult(
            unit=unit,
            samples=(),
            candidates=(),
            failures=tuple(failures),
            previews=(),
            rows=len(requests),
            seconds={"write": written - started, "check": time.perf_counter() - written},
            answers=tuple(checked),
        )

    def _check(
        self, caption: CaptionPair, requests: Sequence[EditRequest], answers: Sequence[Answer]
    ) -> list[WrittenPair]:
        reasons = self._checker(caption.input, answers)
        meta = caption.meta
        if caption.image:
            # The caption pairs keep the image, whose place starts from the same root.
            meta = json.dumps(
                {**json.loads(meta), IMAGE: caption.image_place}, ensure_ascii=False, sort_keys=True
            )
        return [
            WrittenPair(
                pair_id=caption.id,
                sample_index=index,
                seed=request.seed,
                caption=caption.input,
                instruction=answer.instruction,
                edited_caption=answer.edited,
                kept=not reason,
                reason=reason,
                text=answer.text,
                meta=meta,
            )
            for index, (request, answer, reason) in enumerate(zip(requests, answers, reasons, strict=True))
        ]
