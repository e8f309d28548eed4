"""What is asked of a sweep, and what comes of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from p2p.errors import P2PError
from p2p.samplers import SAMPLERS

EDITS = ("auto", "refine", "replace")


@dataclass(frozen=True, eq=False)
class SweepRequest:
    """One pair of prompts, one seed, several τ.

    τ is the fraction of the denoising steps, from the first, during which the source's attention is injected: 0 is
    none, 1 is all. (InstructPix2Pix calls it ``p2p_threshold``; the τ of the Prompt-to-Prompt paper is the timestep at
    which injection stops, so it counts the other way.) Injection is on at step i, counted from 0, while
    i < floor(gain · τ · steps + 0.5 + 1e-9).

    Attributes:
        source: the caption of the image that is edited.
        target: its caption after the edit. It may be the source's, to re-weight words alone.
        taus: each in [0, 1]; one edited image each.
        seed: of the starting noise and of a stochastic sampler's noise, shared by the source and all its edits; not
            negative.
        steps: of the denoising.
        guidance_scale: of classifier-free guidance; 1 or less means none, and half the rows.
        sampler: "ddim", "euler", "euler_ancestral", "dpmpp_2m" or "lcm"; "flow_match_euler" for flow models.
        cross_gain: factor on τ for the injection of cross-attention.
        self_gain: factor on τ for the injection of self-attention, which is injected in all layers.
        edit: "replace", "refine" or "auto": see ``p2p.algebra.cross_edit``.
        word_taus: words of the target with a τ of their own for their cross-attention, in place of the sweep's.
        reweight: words of the target with the factor c on their attention, at all steps.
        blend: None; LocalBlend is not offered.
        inject_unconditional: whether the unguided rows receive the source's self-attention as well. With
            ``cross_gain=0, self_gain=1`` this is InstructPix2Pix's recipe.
        latents: starting noise of unit variance, (C, h, w), in place of the seed's.

    Raises:
        P2PError: a value that is out of its range, or an unknown sampler or edit.
    """

    source: str
    target: str
    taus: Sequence[float] = (0.2, 0.5, 0.8)
    seed: int = 7
    steps: int = 30
    guidance_scale: float = 7.5
    sampler: str = "ddim"
    cross_gain: float = 1.0
    self_gain: float = 0.5
    edit: str = "auto"
    word_taus: Mapping[str, float] | None = None
    reweight: Mapping[str, float] | None = None
    blend: tuple[str, str] | None = None
    inject_unconditional: bool = False
    latents: Tensor | None = None

    def __post_init__(self) -> None:
        for name in ("source", "target"):
            if not isinstance(getattr(self, name), str):
                raise P2PError(f"{name} has to be text, not {getattr(self, name)!r}")
        if len(self.taus) == 0:
            raise P2PError("taus is empty; name at least one τ in [0, 1]")
        for tau in (*self.taus, *(self.word_taus or {}).values()):
            if not 0 <= tau <= 1:
                raise P2PError(f"τ = {tau} is not in [0, 1]")
        for name in ("cross_gain", "self_gain"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise P2PError(f"{name} = {getattr(self, name)} is not a factor; it has to be 0 or more")
        for name, numbers in (
            ("guidance_scale", [self.guidance_scale]),
            ("reweight", (self.reweight or {}).values()),
        ):
            if not all(math.isfinite(number) for number in numbers):
                raise P2PError(f"{name} = {getattr(self, name)} is not finite")
        if self.steps < 1:
            raise P2PError(f"steps = {self.steps}; it has to be 1 or more")
        if not 0 <= self.seed < 2**63:
            raise P2PError(f"seed = {self.seed} is not in [0, 2**63)")
        if self.sampler not in SAMPLERS:
            raise P2PError(f"sampler {self.sampler!r} is unknown; there are {', '.join(SAMPLERS)}")
        if self.edit not in EDITS:
            raise P2PError(f"edit {self.edit!r} is unknown; there are {', '.join(EDITS)}")

    @property
    def guided(self) -> bool:
        """Whether every row has an unguided one beside it."""
        return self.guidance_scale > 1


@dataclass(frozen=True, eq=False)
class Sweep:
    """What a request comes to.

    Attributes:
        source: (H, W, 3) uint8.
        edits: (K, H, W, 3) uint8, in the order of the request's ``taus``.
        rows: rows of the denoiser's batches that were evaluated for it.
        source_latents: (C, h, w) fp32 on the CPU, before decoding.
        edit_latents: (K, C, h, w) fp32 on the CPU.
    """

    source: NDArray[np.uint8]
    edits: NDArray[np.uint8]
    rows: int
    source_latents: Tensor
    edit_latents: Tensor
