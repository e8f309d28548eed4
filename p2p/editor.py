"""Editor: carries out requests with one model and decodes their images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from p2p.attention.local_blend import Blend
from p2p.attention_maps import AttentionMaps, attention_maps, edit_maps
from p2p.families.family import Family
from p2p.families.vae_decoder import Decoder
from p2p.samplers.sampler import MakeSampler
from p2p.samplers.sampler_registry import make_sampler
from p2p.sweep import batch_size
from p2p.sweep.baselines import make_plan_of_method
from p2p.sweep.batch_size import BatchRows
from p2p.sweep.early_stop import EarlyStop, EarlyStopBarrier, PredictedImages
from p2p.sweep.executor import Outcome, Usage, run_plans
from p2p.sweep.request import Sweep, SweepRequest


class Editor:
    """Prompt-to-Prompt with one model; ``p2p.load`` makes it.

    Attributes:
        family: the model.
        scoring_decoder: decodes the images of sweeps in place of the model's own decoder, or None.
        pad: whether every call of the denoiser in a sweep has the same number of rows.
        usage: calls and rows of the denoiser in all sweeps so far.
    """

    def __init__(self, family: Family, pad: bool = False, scoring_decoder: Decoder | None = None) -> None:
        self.family, self.pad, self.usage = family, pad, Usage()
        self.scoring_decoder = scoring_decoder
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
        blend: Blend | tuple[str | Sequence[str], str | Sequence[str]] | None = None,
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

        Args:
            requests: the requests; results have the same order.
            batch_rows: most rows of a batch; "auto" is as many as the sweeps can fill and the memory holds. If memory
                is short, the batch is halved and no finished work is lost.
            early_stop: drops edits part of the way, or None.

        Raises:
            P2PError: a request that cannot be carried out, or ``batch_rows`` below 4.
        """
        sampler = self._samplers()
        plans = [make_plan_of_method(k, request, self.family, sampler) for k, request in enumerate(requests)]
        if not plans:
            return []
        if early_stop:
            steps = [early_stop.before_step(p.request.steps) if p.branches else None for p in plans]
            plans = [replace(p, early_stop_step=step) for p, step in zip(plans, steps, strict=True)]
        rows = batch_size.batch_rows(
            batch_rows, plans, self._largest or batch_size.largest_batch(self.family.device)
        )
        barrier = self._barrier(early_stop) if early_stop else None
        outcomes = run_plans(self.family, plans, rows, self.pad, self.usage, barrier)
        if self.usage.batch_rows < rows:
            self._largest = self.usage.batch_rows
        return self._make_sweeps(outcomes, requests)

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
                )
            )
        return sweeps
