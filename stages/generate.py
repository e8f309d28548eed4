"""Generates candidates: renders a unit's caption pairs with Prompt-to-Prompt, scores them with CLIP, and selects."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import p2p
from conf.messages import error_line, typed_error_line
from conf.schema import Config, Keep
from conf.sweeps import AdaptiveSweep
from p2p.sweep.batch_size import BatchRows
from p2p.sweep.sweep_plan import image_size
from stages.candidates.adaptive_rounds import Respond, sweep_in_rounds
from stages.candidates.full_decode import rescore_survivors
from stages.candidates.requests import make_requests
from stages.candidates.scoring import Scorer, SeedRequest, SweptSeed
from stages.candidates.selection import RenderedPair, collect_rejected, make_samples, select
from stages.candidates.sheet_previews import make_previews, make_thumbnails
from stages.faults import is_machine_fault
from stages.images.decode import ImageError, decode
from stages.images.place import image_root, read_checked
from stages.records import CaptionPair, Failure, Unit, UnitResult
from stages.storage.store import map_in_threads

IMAGE_THREADS = 4


def prepare_process(compile_cache: str | None) -> None:
    """Set what CUDA and the compiler read from the environment at their first use. The user's own variables stay."""
    # Batches of several sizes, images and scores share the memory; fixed segments would fragment it.
    os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")
    if compile_cache:
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", compile_cache)
        os.environ.setdefault("TRITON_CACHE_DIR", str(Path(compile_cache, "triton")))


class Generate:
    """The stage of a worker: loads the models once, then each call makes the result of a unit."""

    def __init__(self, config: Config, model_fingerprint: str) -> None:
        """Load the models.

        Raises p2p.ModelError and filters.FilterError, which every other unit would raise too.
        """
        torch.set_num_threads(config.cluster.threads)
        self.config = config
        self.model_fingerprint = model_fingerprint
        model = config.model
        prepare_process(model.compile_cache)
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = model.tf32
        self.editor = p2p.load(
            model.path,
            device=model.device,
            dtype=model.dtype.value,
            revision=model.revision,
            compile=config.compile_mode(),
            channels_last=model.channels_last,
            scoring_decoder=model.scoring_decoder,
            family=model.family,
            max_sequence_length=model.max_sequence_length,
            variant=model.variant,
            staging=model.staging,
            offload=model.offload,
            fp8=model.fp8,
            text_encoder_bits=model.text_encoder_bits,
        )
        self.scorer = Scorer(config.filter, model.device, config.edit.source)
        self._reset()

    def _reset(self) -> None:
        self._seconds: dict[str, float] = defaultdict(float)
        self._shifts: dict[str, float] = {}
        self._rescored = 0
        self._images: dict[str, NDArray[np.uint8]] = {}
        self.editor.usage.halved_to = 0

    def __call__(self, unit: Unit) -> UnitResult:
        """Render, score and select. A pair that raises becomes a failure; the other pairs are kept."""
        self._reset()
        self.scorer.images = unit.images
        with self._time("decode"):
            pairs, without = self._read_images(unit.pairs) if unit.images else (unit.pairs, [])
        rendered, failures = self._render_or_split(pairs) if pairs else ([], [])
        with self._time("preview"):
            samples = make_samples(rendered, self.config, self.model_fingerprint)
            previews = make_previews(unit, rendered, self.config, self.editor)
            thumbnails = make_thumbnails(unit, rendered, self.config)
            rejected = collect_rejected(rendered) if self.config.keep is Keep["all-images"] else ()
        return UnitResult(
            unit=unit,
            samples=samples,
            candidates=tuple(candidate for pair in rendered for candidate in pair.candidates),
            failures=(*without, *failures),
            previews=previews,
            rows=sum(seed.sweep.rows for pair in rendered for seed in pair.seeds),
            seconds=dict(self._seconds),
            rescored=self._rescored,
            shifts=self._shifts,
            rejected=rejected,
            thumbnails=thumbnails,
            batch_rows=self.editor.usage.halved_to,
        )

    def _read_images(self, pairs: Sequence[CaptionPair]) -> tuple[list[CaptionPair], list[Failure]]:
        """Read the images of the pairs. Returns the pairs whose images can be used, and the failures of the others.

        Raises what the machine is at fault for.
        """
        root = image_root(self.config.captions, self.config.out)
        height, width = image_size(self.editor.family)
        upscale = self.config.captions.image_upscale

        def read(pair: CaptionPair) -> Failure | None:
            if not pair.image:
                return None
            try:
                data = read_checked(root, pair.image_place, pair.image_sha256)
                self._images[pair.id] = decode(data, width, height, upscale)
            except (ImageError, OSError) as error:
                if is_machine_fault(error):
                    raise
                return Failure(pair.id, f"image {pair.image_place}: {error_line(error)}")
            return None

        outcomes = list(map_in_threads(read, pairs, IMAGE_THREADS, 2 * IMAGE_THREADS))
        good = [pair for pair, failure in zip(pairs, outcomes, strict=True) if failure is None]
        return good, [failure for failure in outcomes if failure is not None]

    def _render_or_split(self, pairs: Sequence[CaptionPair]) -> tuple[list[RenderedPair], list[Failure]]:
        """Render the pairs together, or each half of them if that raises. Raises what the machine is at fault for."""
        try:
            return self._render(pairs), []
        except Exception as error:
            if is_machine_fault(error):
                raise
            if len(pairs) == 1:
                return [], [Failure(pairs[0].id, typed_error_line(error))]
        middle = len(pairs) // 2
        rendered, failures = self._render_or_split(pairs[:middle])
        more_rendered, more_failures = self._render_or_split(pairs[middle:])
        return rendered + more_rendered, failures + more_failures

    def _render(self, pairs: Sequence[CaptionPair]) -> list[RenderedPair]:
        """Request, sweep, score and select; with a scoring decoder then decode what is kept in full."""
        if isinstance(self.config.sweep, AdaptiveSweep):
            seeds = sweep_in_rounds(pairs, self.config, self.scorer, self._sweep_queue, self._images)
        else:
            requests = [
                [
                    (pair, sample, request)
                    for sample, request in enumerate(
                        make_requests(pair, self.config, self._images.get(pair.id))
                    )
                ]
                for pair in pairs
            ]
            swept = iter(self._sweep([request for group in requests for request in group]))
            seeds = [list(islice(swept, len(group))) for group in requests]
        rendered = [
            select(pair, group, self.scorer, self.config) for pair, group in zip(pairs, seeds, strict=True)
        ]
        if self.editor.scoring_decoder is not None:
            with self._time("rescore"):
                rendered, count = rescore_survivors(rendered, self.editor, self.scorer, self._shifts)
            self._rescored += count
        return rendered

    def _sweep(self, requests: Sequence[SeedRequest]) -> list[SweptSeed]:
        """Run all requests in shared batches and score every edit: then, or on a GPU as soon as it is there."""
        if self.editor.decodes_beside:
            swept: dict[int, SweptSeed] = {}

            def collect(finished: list[tuple[int, SweptSeed]]) -> Sequence[SeedRequest]:
                swept.update(finished)
                return ()

            self._sweep_queue(requests, collect, in_order=True)
            return [swept[number] for number in range(len(requests))]
        with self._denoising():
            early_stop = self.scorer.early_stop(self.config.early, [pair for pair, *_ in requests])
            sweeps = self.editor.sweep_many(
                [request for *_, request in requests], self._batch_rows, early_stop
            )
        with self._time("score"):
            return self.scorer.score_sweeps(requests, sweeps)

    def _sweep_queue(self, requests: Sequence[SeedRequest], respond: Respond, in_order: bool = False) -> None:
        """Run the requests, and those that ``respond`` returns for swept and scored ones, in shared batches."""
        numbered = list(requests)
        # Grows with the requests, which the early stop knows by their number.
        pairs = [pair for pair, *_ in requests]

        def score_and_respond(finished: list[tuple[int, p2p.Sweep]]) -> list[p2p.SweepRequest]:
            with self._time("score"):
                swept = self.scorer.score_sweeps(
                    [numbered[number] for number, _ in finished], [sweep for _, sweep in finished]
                )
            following = respond([(number, seed) for (number, _), seed in zip(finished, swept, strict=True)])
            numbered.extend(following)
            pairs.extend(pair for pair, *_ in following)
            return [request for *_, request in following]

        with self._denoising():
            early_stop = self.scorer.early_stop(self.config.early, pairs)
            self.editor.sweep_queue(
                [request for *_, request in requests],
                score_and_respond,
                self._batch_rows,
                early_stop,
                in_order,
            )

    @property
    def _batch_rows(self) -> BatchRows:
        return self.config.cluster.batch_rows or "auto"

    @contextmanager
    def _denoising(self) -> Iterator[None]:
        """Time the denoiser, and count as decoding what neither it nor the scores inside take."""
        started, before, scored = time.perf_counter(), self.editor.usage.seconds, self._seconds["score"]
        yield
        denoised = self.editor.usage.seconds - before
        elapsed = time.perf_counter() - started - denoised - (self._seconds["score"] - scored)
        self._seconds["denoise"] += denoised
        self._seconds["decode"] += max(0.0, elapsed)

    @contextmanager
    def _time(self, activity: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self._seconds[activity] += time.perf_counter() - started
