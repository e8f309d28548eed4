"""The editor: requests in, images out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from p2p import baselines
from p2p.attention.attention_maps import AttentionMaps, attention_maps, edit_maps
from p2p.attention.local_blend import Blend
from p2p.families.family import Family
from p2p.families.vae_decoder import Decoder
from p2p.samplers import Sampler, make_sampler
from p2p.sweep import batch_size
from p2p.sweep.batch_size import BatchRows
from p2p.sweep.early_stop import Gate, Look, Predicted
from p2p.sweep.executor import Outcome, Usage, run
from p2p.sweep.request import Sweep, SweepRequest


class Editor:
    """Prompt-to-Prompt with one model, which ``p2p.load`` opens.

    Attributes:
        family: the model.
        scoring_decoder: what sweeps are decoded by in place of the model's own decoder, if there is one.
        pad: whether every call of the denoiser in a sweep has one and the same number of rows.
        usage: calls and rows of the denoiser in all sweeps so far.
    """

    def __init__(self, family: Family, pad: bool = False, scoring_decoder: Decoder | None = None) -> None:
        self.family, self.pad, self.usage = family, pad, Usage()
        self.scoring_decoder = scoring_decoder
        self._largest: int | None = None

    @property
    def resolution(self) -> int:
        """Pixels of the side of the square images it makes."""
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
    ) -> Sweep:
        """One sweep; ``p2p.SweepRequest`` says what the arguments mean.

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
        )
        return self.sweep_many([request])[0]

    @torch.inference_mode()
    def sweep_many(
        self, requests: Sequence[SweepRequest], batch_rows: BatchRows = 32, look: Look | None = None
    ) -> list[Sweep]:
        """Many sweeps whose rows share batches of at most ``batch_rows`` for the denoiser.

        "auto" takes as many as the sweeps can fill and the memory has room for. A batch for which memory is short is
        halved, and nothing that was done is lost. A ``look`` leaves edits on the way that promise nothing.

        Raises:
            P2PError: a request that cannot be carried out, or ``batch_rows`` below 4.
        """
        sampler = self._samplers()
        plans = [baselines.plan(k, request, self.family, sampler) for k, request in enumerate(requests)]
        if not plans:
            return []
        if look:
            plans = [replace(p, look=look.step(p.request.steps) if p.branches else None) for p in plans]
        rows = batch_size.batch_rows(
            batch_rows, plans, self._largest or batch_size.largest(self.family.device)
        )
        gate = self._gate(look) if look else None
        outcomes = run(self.family, plans, rows, self.pad, self.usage, gate)
        if self.usage.batch_rows < rows:
            self._largest = self.usage.batch_rows
        return self._decode(outcomes, [len(request.taus) for request in requests])

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> NDArray[np.uint8]:
        """Images (N, H, W, 3) of latents (N, C, h, w) fp32, by the model's own decoder."""
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
    ) -> AttentionMaps:
        """Generate an image and show where each word was attended to, on average and in ``groups`` runs of steps.

        Raises:
            P2PError: a prompt or a number that cannot be.
        """
        request = SweepRequest(
            prompt, prompt, seed=seed, steps=steps, guidance_scale=guidance_scale, sampler=sampler
        )
        return attention_maps(self.family, request, self._samplers(), groups)

    @torch.inference_mode()
    def edit_attention(self, request: SweepRequest) -> tuple[AttentionMaps, AttentionMaps]:
        """Where each word of both prompts was attended to, in the source and in the edit at the request's one τ.

        Raises:
            P2PError: a request that cannot be carried out, with several τ, with a blend or of another method.
        """
        return edit_maps(self.family, request, self._samplers())

    def _samplers(self) -> Callable[[str, int], Sampler]:
        """Makes a sampler once for each name and number of steps."""
        config, device = self.family.scheduler_config, self.family.device
        return cache(lambda name, steps: make_sampler(name, config, steps, device))

    def _gate(self, look: Look) -> Gate:
        def decide(
            request: int, source: Tensor, edits: Tensor, members: tuple[tuple[int, ...], ...]
        ) -> Sequence[bool]:
            images = self._pictured(torch.cat([source[None], edits]))
            return look.goes_on(Predicted(request, images[0], images[1:], members))

        return Gate(decide)

    def _pictured(self, latents: Tensor) -> NDArray[np.uint8]:
        return (self.scoring_decoder or self.family.decoder)(latents)

    def _decode(self, outcomes: Sequence[Outcome], counts: Sequence[int]) -> list[Sweep]:
        """Every distinct latents decoded once."""
        latents = torch.stack([final for outcome in outcomes for final in outcome.finals.values()])
        images = iter(self._pictured(latents))
        sweeps = []
        for outcome, count in zip(outcomes, counts, strict=True):
            image = {members: next(images) for members in outcome.finals}
            shared = {member: members for members in outcome.finals for member in members}
            leaves = [shared[member] for member in range(count)]
            sweeps.append(
                Sweep(
                    source=image[()],
                    edits=np.stack([image[leaf] for leaf in leaves]),
                    rows=outcome.rows,
                    source_latents=outcome.finals[()],
                    edit_latents=torch.stack([outcome.finals[leaf] for leaf in leaves]),
                    stopped=outcome.stopped,
                )
            )
        return sweeps
