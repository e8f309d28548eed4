"""What is asked of a sweep, and what comes of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from p2p.attention.local_blend import Blend
from p2p.errors import P2PError
from p2p.samplers import maker_of
from p2p.sweep.tree import ROUNDINGS

EDITS = ("auto", "refine", "replace")
METHODS = ("p2p", "sdedit", "same_seed")
TOO_LONG = ("error", "truncate")
POOLED = ("own", "source")


@dataclass(frozen=True, eq=False)
class SweepRequest:
    """One pair of prompts, one seed, several τ.

    τ is the fraction of the denoising steps, from the first, during which the source's attention is injected: 0 is
    none, 1 is all. (InstructPix2Pix calls it ``p2p_threshold``; the τ of the Prompt-to-Prompt paper is the timestep at
    which injection stops, so it counts the other way.) Injection is on at step i, counted from 0, while
    i < floor(gain · τ · steps + 0.5 + 1e-9), or as ``rounding`` has it.

    Attributes:
        source: the caption of the image that is edited.
        target: its caption after the edit. It may be the source's, to re-weight words alone.
        taus: each in [0, 1]; one edited image each.
        seed: of the starting noise and of a stochastic sampler's noise, shared by the source and all its edits; not
            negative.
        steps: of the denoising.
        guidance_scale: of classifier-free guidance; 1 or less means none, and half the rows.
        sampler: "ddim", "euler", "euler_ancestral", "dpmpp_2m" or "lcm"; "flow_match_euler" for flow models; or a
            module of one's own, on Python's path: ``p2p.samplers.sampler.OwnSampler`` says what it holds.
        cross_gain: factor on τ for the injection of cross-attention.
        self_gain: factor on τ for the injection of self-attention, which is injected in all layers.
        edit: "replace", "refine" or "auto": see ``p2p.attention.algebra.cross_edit``.
        word_taus: words of the target with a τ of their own for their cross-attention, in place of the sweep's.
        reweight: words of the target with the factor c on their attention, at all steps.
        blend: words of the source and of the target to whose place the edit is held, ("ball", "ball"), or a
            ``p2p.Blend``, which says more. What is outside is the source's to the end.
        inject_unconditional: whether the unguided rows receive the source's self-attention as well. With
            ``cross_gain=0, self_gain=1`` this is InstructPix2Pix's recipe.
        latents: starting noise of unit variance, (C, h, w), in place of the seed's.
        only: words of the target that may take the source's cross-attention, None for all: see ``cross_edit``. What
            surrounds them moves freely only with ``self_gain=0``.
        alignment: pairs of phrases, of the source and of the target, that stand for each other; the other words are
            aligned automatically.
        too_long: "error" refuses prompts that do not fit into the model's window, "truncate" leaves out their last
            words.
        pooled: whose pooled embedding an edit is given besides its tokens, by models that have one (SDXL, SD3, FLUX):
            its "own" prompt's or the "source"'s. It is an edit's second way in, which no attention map sees; without
            it, words that are not injected say less.
        method: "p2p", or what it is measured against, for which the gains and ``edit`` mean nothing: "sdedit" noises
            the finished source and denoises it under the target with strength 1 − τ; "same_seed" generates the target
            from the source's noise, at every τ alike. See ``p2p.baselines``.
        rounding: "nearest", or "instructpix2pix" for that generator's own rule: see ``p2p.sweep.tree.injected_steps``.
        guidance_interval: noise levels (low, high) between which there is guidance, at low < σ ≤ high; None for all.
            At the other steps a row is denoised under its prompt alone, and its unguided row is not evaluated
            (Kynkäänniemi et al. 2024, equation 5). σ is the noise's standard deviation over the signal's factor, as
            in that paper, whatever the sampler; ``high`` may be infinite. Stable Diffusion goes from 14.6 to 0.03.

    Raises:
        P2PError: a value that is out of its range, or an unknown sampler, edit, method or policy.
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
    blend: Blend | tuple[str | Sequence[str], str | Sequence[str]] | None = None
    inject_unconditional: bool = False
    latents: Tensor | None = None
    only: Sequence[str] | None = None
    alignment: Sequence[tuple[str, str]] = ()
    too_long: str = "error"
    pooled: str = "own"
    method: str = "p2p"
    rounding: str = "nearest"
    guidance_interval: tuple[float, float] | None = None

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
        maker_of(self.sampler)  # raises what is wrong with it
        for name, known in (
            ("edit", EDITS),
            ("method", METHODS),
            ("too_long", TOO_LONG),
            ("pooled", POOLED),
            ("rounding", ROUNDINGS),
        ):
            if getattr(self, name) not in known:
                raise P2PError(f"{name} {getattr(self, name)!r} is unknown; there are {', '.join(known)}")
        if self.guidance_interval is not None:
            low, high = self.guidance_interval if len(self.guidance_interval) == 2 else (0.0, 0.0)
            if not 0 <= low < high:
                raise P2PError(
                    f"guidance_interval = {self.guidance_interval!r}; give two noise levels, 0 <= low < high"
                )
        if isinstance(self.only, str):
            raise P2PError(f"only = {self.only!r} has to be a list of words: only=({self.only!r},)")
        _ = self.local_blend  # raises what is wrong with it
        for pair in self.alignment:
            if isinstance(pair, str) or len(pair) != 2 or not all(isinstance(text, str) for text in pair):
                raise P2PError(
                    f"alignment has {pair!r}, which is no pair of phrases: alignment=(('red ball', 'blue box'),)"
                )

    @property
    def local_blend(self) -> Blend | None:
        """``blend`` in full."""
        if self.blend is None or isinstance(self.blend, Blend):
            return self.blend
        if isinstance(self.blend, str) or len(self.blend) != 2:
            raise P2PError(
                f"blend = {self.blend!r}; name words of the source and of the target: ('ball', 'box')"
            )
        return Blend(*self.blend)

    @property
    def guided(self) -> bool:
        """Whether rows have an unguided one beside them, at the steps with guidance."""
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
        stopped: places of edits that were left at a look: theirs are the images and latents predicted there, and the
            source's are if no edit went on.
    """

    source: NDArray[np.uint8]
    edits: NDArray[np.uint8]
    rows: int
    source_latents: Tensor
    edit_latents: Tensor
    stopped: tuple[int, ...] = ()
