"""Editor: carries out requests with one model and decodes their images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from p2p.attention.local_blend import Blend
from p2p.attention_maps import AttentionMaps, attention_maps, edit_maps
from p2p.device_transfer import own_stream, wait_for_queued
from p2p.families.family import Family
from p2p.families.vae_decoder import Decoder
from p2p.inversion.image_inversion import ImageInversions
from p2p.samplers.sampler import MakeSampler
from p2p.samplers.sampler_registry import make_sampler
from p2p.sweep import batch_size
from p2p.sweep.baselines import make_plan_of_method
from p2p.sweep.batch_size import BatchRows
from p2p.sweep.early_stop import EarlyStop, EarlyStopBarrier, PredictedImages
from p2p.sweep.executor import FollowUp, Outcome, Usage, run_plans
from p2p.sweep.request import Sweep, SweepRequest
from p2p.sweep.sweep_plan import SweepPlan

Respond = Callable[[list[tuple[int, Sweep]]], Sequence[SweepRequest]]
"""Takes finished sweeps, each with its number, and returns further requests."""


class Editor:
    """Prompt-to-Prompt with one model; ``p2p.load`` makes it.

    Attributes:
        family: the model.
        scoring_decoder: decodes the images of sweeps in place of the model's own decoder, or None.
        pad: whether every call of the denoiser in a sweep has the same number of rows.
        usage: calls and rows of the denoiser in all sweeps so far.
        decodes_beside: whether ``sweep_queue`` decodes in a thread beside the denoiser, as on a GPU.
    """

    def __init__(self, family: Family, pad: bool = False, scoring_decoder: Decoder | None = None) -> None:
        self.family, self.pad, self.usage = family, pad, Usage()
        self.scoring_decoder = scoring_decoder
        self.decodes_beside = family.device.type == "cuda"
        self._largest: int | None = None

    @property
    def resolution(self) -> int:
        """Side of the square images in pixels."""
        return self.family.resolution

    def sweep(
        self,
        source: str,
        target: str,
        taus: Sequence[float] = SweepRequest.taus,
        seed: int = SweepRequest.seed,
        steps: int = SweepRequest.steps,
        guidance_scale: float = SweepRequest.guidance_scale,
        sampler: str = SweepRequest.sampler,
        cross_gain: float = SweepRequest.cross_gain,
        self_gain: float = SweepRequest.self_gain,
        edit: str = SweepRequest.edit,
        word_taus: Mapping[str, float] | None = None,
        reweight: Mapping[str, float] | None = None,
        blend: Blend | Mapping[str, Any] | Sequence[str | Sequence[str]] | None = None,
        inject_unconditional: bool = SweepRequest.inject_unconditional,
        latents: Tensor | None = None,
        only: Sequence[str] | None = None,
        alignment: Sequence[tuple[str, str]] = (),
        too_long: str = SweepRequest.too_long,
        pooled: str = SweepRequest.pooled,
        method: str = SweepRequest.method,
        rounding: str = SweepRequest.rounding,
        guidance_interval: tuple[float, float] | None = None,
        negative_prompt: str | None = None,
        spacing: str | None = None,
        self_max_size: float | None = None,
        start: float = SweepRequest.start,
        self_tau: float | None = None,
        reweight_steps: str = SweepRequest.reweight_steps,
        image: NDArray[np.uint8] | None = None,
        inversion: str = SweepRequest.inversion,
        source_guidance_scale: float | None = None,
    ) -> Sweep:
        """Carries out one request; ``p2p.SweepRequest`` describes the arguments.

        Raises:
            P2PError: a request that cannot be carried out.
        """
        request = SweepRequest(
            source,
            target,
            taus,
            seed,
            steps,
            guidance_scale,
            sampler,
            cross_gain,
            self_gain,
            edit,
            word_taus,
            reweight,
            blend,
            inject_unconditional,
            latents,
            only,
            alignment,
            too_long,
            pooled,
            method,
            rounding,
            guidance_interval,
            negative_prompt,
            spacing,
            self_max_size,
            start,
            self_tau,
            reweight_steps,
            image,
            inversion,
            source_guidance_scale,
        )
        return self.sweep_many([request])[0]

    @torch.inference_mode()
    def sweep_many(
        self,
        requests: Sequence[SweepRequest],
        batch_rows: BatchRows = 32,
        early_stop: EarlyStop | None = None,
    ) -> list[Sweep]:
        """Carries out many requests whose rows share batches of the denoiser.

        An image is inverted once for all requests with the same image, source, sampler and steps.

        Args:
            requests: the requests; results have the same order.
            batch_rows: most rows of a batch; "auto" is as many as the sweeps can fill and the memory holds. If memory
                is short, the batch is halved and no finished work is lost.
            early_stop: drops edits part of the way, or None.

        Raises:
            P2PError: a request that cannot be carried out, or ``batch_rows`` below 4.
        """
        plans = self._plan(requests, 0, self._samplers(), ImageInversions(self.family), early_stop)
        return self._make_sweeps(self._run(plans, batch_rows, early_stop), requests) if plans else []

    @torch.inference_mode()
    def sweep_queue(
        self,
        requests: Sequence[SweepRequest],
        respond: Respond,
        batch_rows: BatchRows = 32,
        early_stop: EarlyStop | None = None,
        in_order: bool = False,
    ) -> None:
        """Carries out requests and those that follow from their results, in shared batches of the denoiser.

        On a GPU the images of finished sweeps are decoded, and ``respond`` is called, in one other thread while the
        denoiser goes on. Which rows share a batch never depends on the time that this takes.

        Args:
            requests: the first requests, numbered from 0.
            respond: takes finished sweeps, each with its number, and returns further requests, numbered on.
            batch_rows: as in ``sweep_many``. "auto" is what the first requests can fill.
            early_stop: as in ``sweep_many``.
            in_order: whether the first requests are to finish one after the other, where few or none follow them.

        Raises:
            P2PError: as ``sweep_many``.
        """
        sampler, inversions, numbered = self._samplers(), ImageInversions(self.family), list(requests)
        plans = self._plan(requests, 0, sampler, inversions, early_stop)

        def follow_up(finished: list[tuple[int, Outcome]]) -> Callable[[], list[SweepPlan]]:
            are_copied = wait_for_queued(self.family.device)

            def decode_and_respond() -> Sequence[SweepRequest]:
                are_copied()
                with torch.inference_mode(), own_stream(self.family.device):
                    indices, outcomes = zip(*finished, strict=True)
                    sweeps = self._make_sweeps(outcomes, [numbered[index] for index in indices])
                    return respond(list(zip(indices, sweeps, strict=True)))

            result = background.submit(decode_and_respond).result if background else decode_and_respond

            def plan() -> list[SweepPlan]:
                following = result()
                numbered.extend(following)
                return self._plan(following, len(numbered) - len(following), sampler, inversions, early_stop)

            return plan

        # The early stop decodes too, between two calls of the denoiser, and a decoder serves one thread.
        overlaps = self.decodes_beside and early_stop is None
        with ThreadPoolExecutor(1) if overlaps else nullcontext() as background:
            if plans:
                self._run(plans, batch_rows, early_stop, follow_up, in_order)

    def _plan(
        self,
        requests: Sequence[SweepRequest],
        first: int,
        sampler: MakeSampler,
        inversions: ImageInversions,
        early_stop: EarlyStop | None,
    ) -> list[SweepPlan]:
        """Plans requests that are numbered from ``first``."""
        plans = [
            inversions.attach(make_plan_of_method(k, request, self.family, sampler))
            for k, request in enumerate(requests, first)
        ]
        # Optional in a family: a plugin may keep its text encoders where they are.
        if release := getattr(self.family, "release_encoders", None):
            release()
        if not early_stop:
            return plans
        steps = [early_stop.before_step(p.request.steps) if p.branches else None for p in plans]
        return [replace(p, early_stop_step=step) for p, step in zip(plans, steps, strict=True)]

    def _run(
        self,
        plans: Sequence[SweepPlan],
        batch_rows: BatchRows,
        early_stop: EarlyStop | None,
        follow_up: FollowUp | None = None,
        in_order: bool = False,
    ) -> list[Outcome]:
        rows = batch_size.batch_rows(
            batch_rows, plans, self._largest or batch_size.largest_batch(self.family.device)
        )
        barrier = self._barrier(early_stop) if early_stop else None
        outcomes = run_plans(self.family, plans, rows, self.pad, self.usage, barrier, follow_up, in_order)
        if self.usage.batch_rows < rows:
            self._largest = self.usage.batch_rows
        return outcomes

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> NDArray[np.uint8]:
        """Decodes latents (N, C, h, w) fp32 to images (N, H, W, 3) with the model's own decoder."""
        return self.family.decoder(latents)

    @torch.inference_mode()
    def attention(
        self,
        prompt: str,
        seed: int = SweepRequest.seed,
        steps: int = SweepRequest.steps,
        guidance_scale: float = SweepRequest.guidance_scale,
        sampler: str = SweepRequest.sampler,
        groups: int = 1,
        too_long: str = SweepRequest.too_long,
    ) -> AttentionMaps:
        """Generates an image and returns the attention maps of its words, over all steps and over ``groups`` of steps.

        Raises:
            P2PError: a prompt that does not fit, or a number out of its range.
        """
        request = SweepRequest(
            prompt,
            prompt,
            seed=seed,
            steps=steps,
            guidance_scale=guidance_scale,
            sampler=sampler,
            too_long=too_long,
        )
        return attention_maps(self.family, request, self._samplers(), groups)

    @torch.inference_mode()
    def edit_attention(self, request: SweepRequest) -> tuple[AttentionMaps, AttentionMaps]:
        """Returns the attention maps of the source's and of the edit's words, for a request with one τ.

        Raises:
            P2PError: a request that cannot be carried out, with several τ, with a blend or of another method.
        """
        # A compiled denoiser would be compiled again for this.
        with torch.compiler.set_stance("force_eager") if self.pad else nullcontext():
            return edit_maps(self.family, request, self._samplers())

    def _samplers(self) -> MakeSampler:
        """Returns a function that makes each sampler once for a name, a number of steps and a spacing."""
        config, device = self.family.scheduler_config, self.family.device
        return cache(lambda name, steps, spacing: make_sampler(name, config, steps, device, spacing))

    def _barrier(self, early_stop: EarlyStop) -> EarlyStopBarrier:
        def decide(
            request: int, source: Tensor, edits: Tensor, members: tuple[tuple[int, ...], ...]
        ) -> Sequence[bool]:
            images = self._decode_sweep(torch.cat([source[None], edits]))
            return early_stop.continues(PredictedImages(request, images[0], images[1:], members))

        return EarlyStopBarrier(decide)

    def _decode_sweep(self, latents: Tensor) -> NDArray[np.uint8]:
        return (self.scoring_decoder or self.family.decoder)(latents)

    def _make_sweeps(self, outcomes: Sequence[Outcome], requests: Sequence[SweepRequest]) -> list[Sweep]:
        """Decodes each of the distinct final latents once."""
        latents = torch.stack([final for outcome in outcomes for final in outcome.finals.values()])
        images = iter(self._decode_sweep(latents))
        sweeps = []
        for outcome, request in zip(outcomes, requests, strict=True):
            image = {members: next(images) for members in outcome.finals}
            members_of = {member: members for members in outcome.finals for member in members}
            leaves = [members_of[member] for member in range(len(request.taus))]
            sweeps.append(
                Sweep(
                    source=image[()],
                    edits=np.stack([image[leaf] for leaf in leaves]),
                    rows=outcome.rows,
                    source_latents=outcome.finals[()],
                    edit_latents=torch.stack([outcome.finals[leaf] for leaf in leaves]),
                    stopped=outcome.stopped,
                    request=request,
                    original=request.image,
                )
            )
        return sweeps
