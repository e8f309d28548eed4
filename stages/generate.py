"""Generate: a unit's caption pairs through Prompt-to-Prompt and CLIP, in one process that holds both."""

from __future__ import annotations

import importlib
import time
from collections import defaultdict
from collections.abc import Sequence
from functools import partial

import torch

import p2p
from conf.schema import Config, Keep
from conf.sweeps import AdaptiveSweep
from p2p.models.preload import prepare
from p2p.sweep.batch_size import BatchRows
from stages.candidates.adaptive_rounds import Swept, in_rounds
from stages.candidates.early_scoring import look, marked
from stages.candidates.full_decode import in_full, shifts
from stages.candidates.near_duplicates import NearWithin, Pair
from stages.candidates.preview_maps import with_maps
from stages.candidates.requests import requests
from stages.candidates.scoring import Judge
from stages.candidates.selection import Rendered, choose, preview, rejected, samples
from stages.formats.images import as_stored
from stages.records import CaptionPair, Failure, Preview, Unit, UnitResult


class Generate:
    """The stage: models are loaded once, then each call takes a unit and returns what became of it."""

    @staticmethod
    def prepare(config: Config) -> None:
        """Import what loading the models imports, ahead of it. Raises p2p.ModelError."""
        model = config.model
        prepare(model.path, model.revision, model.family)
        importlib.import_module("filters.clip.clip_loader")

    def __init__(self, config: Config, model_fingerprint: str) -> None:
        """Load the models.

        Raises p2p.ModelError and filters.FilterError: errors that no other unit would escape.
        """
        torch.set_num_threads(config.cluster.threads)
        self.config = config
        self.model_fingerprint = model_fingerprint
        model = config.model
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = model.tf32
        self.editor = p2p.load(
            model.path,
            device=model.device,
            dtype=model.dtype.value,
            revision=model.revision,
            compile=model.compile.value,
            channels_last=model.channels_last,
            scoring_decoder=model.scoring_decoder,
            family=model.family,
        )
        self.judge = Judge(config.filter, model.device)

    def __call__(self, unit: Unit) -> UnitResult:
        """Render, score and choose. A pair that raises is a failure of its own: the others are kept."""
        seconds: dict[str, float] = defaultdict(float)
        failures: list[Failure] = []
        rendered = self._render_or_split(unit.pairs, failures, seconds)
        started = time.perf_counter()
        kept = [sample for one in rendered for sample in samples(one, self.config, self.model_fingerprint)]
        previews = self._previews(unit, rendered)
        all_images = self.config.keep is Keep["all-images"]
        left = [images for one in rendered for images in rejected(one)] if all_images else []
        seconds["preview"] += time.perf_counter() - started
        rescored, moved = shifts(rendered)
        return UnitResult(
            unit=unit,
            samples=tuple(kept),
            candidates=tuple(candidate for one in rendered for candidate in one.candidates),
            failures=tuple(failures),
            previews=tuple(previews),
            rows=sum(sweep.rows for one in rendered for sweep in one.sweeps),
            seconds=dict(seconds),
            rescored=rescored,
            shifts=moved,
            rejected=tuple(left),
        )

    def _previews(self, unit: Unit, rendered: Sequence[Rendered]) -> list[Preview]:
        """Of the unit's pairs that are on the sheet, with attention maps of those that are to have them."""
        before, sheet = unit.index * self.config.unit_pairs, self.config.sheet
        on_sheet, looked_at = (
            {pair.id for pair in unit.pairs[: max(0, count - before)]}
            for count in (sheet.pairs, min(sheet.pairs, sheet.attention))
        )
        shown = [one for one in rendered if one.pair.id in on_sheet]
        return [
            with_maps(preview(one), one, self.editor) if one.pair.id in looked_at else preview(one)
            for one in shown
        ]

    def _render_or_split(
        self, pairs: Sequence[CaptionPair], failures: list[Failure], seconds: dict[str, float]
    ) -> list[Rendered]:
        try:
            return self._render(pairs, seconds)
        except Exception as error:
            if len(pairs) == 1:
                reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
                failures.append(Failure(pairs[0].id, reason))
                return []
        return [one for pair in pairs for one in self._render_or_split([pair], failures, seconds)]

    def _render(self, pairs: Sequence[CaptionPair], seconds: dict[str, float]) -> list[Rendered]:
        sweep = partial(self._sweep, seconds)
        if isinstance(self.config.sweep, AdaptiveSweep):
            swept = in_rounds(pairs, self.config, self.judge, sweep)
        else:
            swept = sweep(pairs, [tuple(requests(pair, self.config)) for pair in pairs])
        rendered = []
        for pair, one in zip(pairs, swept, strict=True):
            verdicts = choose(pair, one.asked, one.judged, self.judge, self._near(one.sweeps))
            rendered.append(Rendered(pair, one.asked, one.sweeps, verdicts))
        if self.editor.scoring_decoder is None:
            return rendered
        started = time.perf_counter()
        rendered = in_full(rendered, self.editor, self.judge)
        seconds["rescore"] += time.perf_counter() - started
        return rendered

    def _near(self, sweeps: Sequence[p2p.Sweep]) -> NearWithin | None:
        """What tells a pair's candidates that show almost the same, if that is looked for."""
        bits, shards = self.config.filter.near_duplicate, self.config.shards
        if bits is None:
            return None
        places = [(sweep, place) for sweep in sweeps for place in range(len(sweep.edits))]

        def images(candidate: int) -> Pair:
            sweep, place = places[candidate]
            return as_stored(sweep.source, shards), as_stored(sweep.edits[place], shards)

        return NearWithin(bits, images)

    def _sweep(
        self,
        seconds: dict[str, float],
        pairs: Sequence[CaptionPair],
        asked: Sequence[tuple[p2p.SweepRequest, ...]],
    ) -> list[Swept]:
        """What is asked for of each pair, in shared batches, with the judgement on it."""
        started, denoised = time.perf_counter(), self.editor.usage.seconds
        flat = [request for own in asked for request in own]
        of = [pair for pair, own in zip(pairs, asked, strict=True) for _ in own]
        batch_rows: BatchRows = self.config.cluster.batch_rows or "auto"
        sweeps = self.editor.sweep_many(flat, batch_rows, look(self.config.early, self.judge, of))
        swept, denoised = time.perf_counter(), self.editor.usage.seconds - denoised
        seconds["denoise"] += denoised
        seconds["decode"] += swept - started - denoised
        judged = self.judge(
            [sweep.source for sweep in sweeps for _ in sweep.edits],
            [edit for sweep in sweeps for edit in sweep.edits],
            [pair for pair, request in zip(of, flat, strict=True) for _ in request.taus],
        )
        judged = marked(judged, sweeps)
        seconds["score"] += time.perf_counter() - swept
        found, sample, candidate = [], 0, 0
        for own in asked:
            count = sum(len(request.taus) for request in own)
            part = judged.part(slice(candidate, candidate + count))
            found.append(Swept(own, tuple(sweeps[sample : sample + len(own)]), part))
            sample, candidate = sample + len(own), candidate + count
        return found
