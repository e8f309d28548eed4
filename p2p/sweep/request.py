"""Request and result of a sweep."""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from p2p.attention.local_blend import Blend
from p2p.errors import P2PError
from p2p.samplers.sampler_registry import SPACINGS, maker_of
from p2p.sweep.tree import ROUNDINGS

EDITS = ("auto", "refine", "replace")
METHODS = ("p2p", "sdedit", "same_seed", "flowedit")
TOO_LONG = ("error", "truncate")
POOLED = ("own", "source")
INVERSIONS = ("direct", "ddim", "negative_prompt", "null_text", "rf_inversion")
REWEIGHT_STEPS = ("all", "injected")


@dataclass(frozen=True, eq=False)
class SweepRequest:
    """A pair of prompts, one seed and several τ.

    τ is the fraction of the denoising steps, from the first, during which the source's attention is injected: 0 is
    none, 1 is all. (InstructPix2Pix calls it ``p2p_threshold``. In the Prompt-to-Prompt paper τ is the timestep at
    which injection stops, so it decreases.) With the default ``rounding``, injection is on at step i, counted from 0,
    while i < floor(gain · τ · steps + 0.5 + 1e-9).

    Attributes:
        source: the caption of the image that is edited.
        target: its caption after the edit. It may be the source's, to re-weight words alone.
        taus: each in [0, 1]; one edited image for each.
        seed: of the starting noise and of a stochastic sampler's noise, shared by the source and all its edits; 0 or
            more.
        steps: number of denoising steps.
        guidance_scale: of classifier-free guidance; 1 or less means no guidance and half the rows.
        sampler: "ddim", "euler", "euler_ancestral", "dpmpp_2m", "unipc" or "lcm"; "flow_match_euler" for flow models;
            or a plugin module on PYTHONPATH with the interface ``p2p.samplers.sampler.SamplerPlugin``.
        cross_gain: factor on τ for the injection of cross-attention.
        self_gain: factor on τ for the injection of self-attention, which is injected in all layers.
        edit: "replace", "refine" or "auto"; see ``p2p.attention.edit_matrices.cross_edit``.
        word_taus: words of the target with a τ of their own for their cross-attention, in place of the sweep's.
            ``cross_gain`` is a factor on it too.
        reweight: words of the target with the factor c on their attention, at the steps ``reweight_steps``.
        blend: words of the source and of the target to whose pixels the edit is restricted, ("ball", "ball"), or a
            ``p2p.Blend`` with more options, or these as a mapping. All other pixels stay the source's.
        inject_unconditional: whether unconditional rows take the source's self-attention too. With
            ``cross_gain=0, self_gain=1`` this is InstructPix2Pix's method.
        latents: starting noise (C, h, w) of unit variance, in place of the seed's.
        only: words of the target that may take the source's cross-attention, None for all; see ``cross_edit``. Their
            surroundings change freely only with ``self_gain=0``.
        alignment: pairs of a source phrase and a target phrase that match; other words are aligned automatically.
        too_long: "error" refuses prompts that do not fit into the model's window, "truncate" drops the tokens that do
            not fit, as diffusers does.
        pooled: pooled embedding of an edit, for models that have one (SDXL, SD3, FLUX): that of its "own" prompt or of
            the "source". It influences the image outside of attention; with "source", the words of the target that
            are not injected have less influence.
        method: "p2p", or a baseline, which ignores the gains and ``edit``: "sdedit" adds noise to the finished source
            and denoises it under the target with strength 1 − τ; "same_seed" generates the target from the source's
            noise, equally at every τ. See ``p2p.sweep.baselines``. "flowedit" edits an image with a flow model without
            inversion, from the fraction τ of the steps on; see ``p2p.inversion.flow_edit``.
        rounding: "nearest", or "instructpix2pix" or "google" for the rule of these; see
            ``p2p.sweep.tree.injected_steps``.
        guidance_interval: noise levels (low, high); guidance is on while low < σ ≤ high, and always with None. At other
            steps a row is denoised under its prompt alone and has no unconditional row (Kynkäänniemi et al. 2024,
            equation 5). For every sampler, σ is the noise's standard deviation over the signal's factor, as in that
            paper; ``high`` may be infinite. Stable Diffusion goes from 14.6 to 0.03.
        negative_prompt: prompt of the unconditional rows of the source and of its edits. None is the model's own: zeros
            for SDXL, else the empty prompt.
        spacing: "linspace", "leading" or "trailing": spacing of the timesteps, in place of the model's own.
        self_max_size: self-attention is injected in layers of at most this share of the latents' side only, 0.25 being
            16×16 of 64×64. None is all layers.
        start: fraction of the steps, from the first, before which nothing is injected.
        self_tau: a τ for self-attention in place of the sweep's, so that only cross-attention varies. ``self_gain`` is
            a factor on it.
        reweight_steps: "all", or "injected": a word is re-weighted only while its cross-attention may be injected.
        image: (H, W, 3) uint8 of the model's size: a real image with the caption ``source``, which is edited in place
            of one that is generated. ``latents`` must be None.
        inversion: way from the image to the latents that its edits start from; see ``p2p.inversion``. "direct" stores
            the trajectory and holds the source to it; "ddim" starts the source from its end; "negative_prompt" does so
            too, with the source's caption in the unconditional rows; "null_text" with an embedding that is optimised
            for each step; "rf_inversion" is for flow models.
        source_guidance_scale: guidance scale of the source in FlowEdit; None is ``guidance_scale``.

    Raises:
        P2PError: a value out of its range, or an unknown sampler, edit, method, rounding or other choice.
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
    blend: Blend | Mapping[str, Any] | Sequence[str | Sequence[str]] | None = None
    inject_unconditional: bool = False
    latents: Tensor | None = None
    only: Sequence[str] | None = None
    alignment: Sequence[tuple[str, str]] = ()
    too_long: str = "error"
    pooled: str = "own"
    method: str = "p2p"
    rounding: str = "nearest"
    guidance_interval: tuple[float, float] | None = None
    negative_prompt: str | None = None
    spacing: str | None = None
    self_max_size: float | None = None
    start: float = 0.0
    self_tau: float | None = None
    reweight_steps: str = "all"
    image: NDArray[np.uint8] | None = None
    inversion: str = "direct"
    source_guidance_scale: float | None = None

    def __post_init__(self) -> None:
        self._check_types()
        if len(self.taus) == 0:
            raise P2PError("taus is empty; give at least one τ in [0, 1]")
        own_taus = (self.word_taus or {}).values()
        for tau in (*self.taus, *own_taus, *(() if self.self_tau is None else (self.self_tau,))):
            if not 0 <= tau <= 1:
                raise P2PError(f"τ = {tau} is not in [0, 1]")
        for name in ("cross_gain", "self_gain"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise P2PError(f"{name} = {getattr(self, name)} is not a factor; it must be 0 or more")
        for name, numbers in (
            ("guidance_scale", [self.guidance_scale]),
            ("source_guidance_scale", [self.source_guidance_scale or 0]),
            ("reweight", (self.reweight or {}).values()),
        ):
            if not all(math.isfinite(number) for number in numbers):
                raise P2PError(f"{name} = {getattr(self, name)} is not finite")
        if not 0 <= self.start <= 1:
            raise P2PError(f"start = {self.start} is not in [0, 1]")
        if self.self_max_size is not None and not 0 < self.self_max_size <= 1:
            raise P2PError(f"self_max_size = {self.self_max_size} must be over 0 and at most 1")
        if self.steps < 1:
            raise P2PError(f"steps = {self.steps} is too few; it must be 1 or more")
        if not 0 <= self.seed < 2**63:
            raise P2PError(f"seed = {self.seed} is not in [0, 2**63)")
        maker_of(self.sampler)  # raises P2PError
        for name, known in (
            ("edit", EDITS),
            ("method", METHODS),
            ("too_long", TOO_LONG),
            ("pooled", POOLED),
            ("rounding", ROUNDINGS),
            ("reweight_steps", REWEIGHT_STEPS),
            ("spacing", SPACINGS),
            ("inversion", INVERSIONS),
        ):
            optional = getattr(self, name) is None and name == "spacing"
            if not optional and getattr(self, name) not in known:
                raise P2PError(f"{name} {getattr(self, name)!r} is unknown; there are {', '.join(known)}")
        if self.guidance_interval is not None:
            levels = self.guidance_interval
            low, high = levels if isinstance(levels, Sequence) and len(levels) == 2 else (0.0, 0.0)
            if not 0 <= low < high:
                raise P2PError(
                    f"guidance_interval = {self.guidance_interval!r}; give two noise levels, 0 <= low < high"
                )
        if self.image is not None and self.latents is not None:
            raise P2PError("image and latents are two starts of one sweep; give one of them")
        if (
            self.image is not None
            and self.inversion == "negative_prompt"
            and self.negative_prompt is not None
        ):
            raise P2PError(
                "inversion='negative_prompt' has a negative prompt of its own; remove negative_prompt"
            )
        if self.local_blend is not None and self.local_blend.background == "image" and self.image is None:
            raise P2PError("blend: background='image' needs a real image; give image, or remove it")
        if self.method == "flowedit" and self.image is None:
            raise P2PError("method='flowedit' edits a real image; give image, or take another method")
        if self.source_guidance_scale is not None and self.method != "flowedit":
            raise P2PError("source_guidance_scale is for method='flowedit'; remove it")
        _ = self.local_blend  # raises P2PError
        for pair in self.alignment:
            if isinstance(pair, str) or len(pair) != 2 or not all(isinstance(text, str) for text in pair):
                raise P2PError(
                    f"alignment has {pair!r}, which is not a pair of phrases: alignment=(('red ball', 'blue box'),)"
                )

    def _check_types(self) -> None:
        """Raises P2PError for a value of another type than its field's, as users write them."""
        for name in ("source", "target"):
            if not isinstance(getattr(self, name), str):
                raise P2PError(f"{name} must be text, not {getattr(self, name)!r}")
        if not isinstance(self.negative_prompt, str | None):
            raise P2PError(f"negative_prompt must be text, not {self.negative_prompt!r}")
        if self.image is not None:
            image: Any = self.image
            if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.shape[2:] != (3,):
                given = (
                    f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
                )
                raise P2PError(f"image must be an array (height, width, 3) of uint8, not {given}")
        if isinstance(self.taus, str) or not isinstance(self.taus, Collection):
            raise P2PError(f"taus = {self.taus!r} must be a list of numbers: taus=({self.taus},)")
        for name in ("word_taus", "reweight"):
            if not isinstance(getattr(self, name), Mapping | None):
                raise P2PError(f"{name} = {getattr(self, name)!r} must map words to numbers: {{'ball': 0.3}}")
        numbers: list[tuple[str, Any, type]] = [
            (name, getattr(self, name), Integral) for name in ("seed", "steps")
        ]
        for name in (
            "guidance_scale",
            "cross_gain",
            "self_gain",
            "start",
            "self_tau",
            "self_max_size",
            "source_guidance_scale",
        ):
            numbers.append((name, getattr(self, name), Real))
        numbers += [("taus", tau, Real) for tau in self.taus]
        for name in ("word_taus", "reweight"):
            numbers += [(name, number, Real) for number in (getattr(self, name) or {}).values()]
        for name, number, kind in numbers:
            optional = number is None and name in ("self_tau", "self_max_size", "source_guidance_scale")
            if not optional and not isinstance(number, kind):
                wanted = "an integer" if kind is Integral else "a number"
                raise P2PError(f"{name} = {number!r} must be {wanted}, not {type(number).__name__}")
        if isinstance(self.only, str) or not isinstance(self.only, Iterable | None):
            raise P2PError(f"only = {self.only!r} must be a list of words: only=({self.only!r},)")
        if not isinstance(self.alignment, Iterable):
            raise P2PError(f"alignment = {self.alignment!r} must be a list of pairs of phrases")

    @property
    def local_blend(self) -> Blend | None:
        """``blend`` as a ``p2p.Blend``."""
        if self.blend is None or isinstance(self.blend, Blend):
            return self.blend
        if isinstance(self.blend, Mapping):
            try:
                return Blend(**self.blend)
            except TypeError as error:
                raise P2PError(f"blend = {self.blend!r}; give the options of p2p.Blend: {error}") from error
        if isinstance(self.blend, str) or not isinstance(self.blend, Sequence) or len(self.blend) != 2:
            raise P2PError(
                f"blend = {self.blend!r}; give words of the source and of the target: ('ball', 'box')"
            )
        source, target = self.blend
        return Blend(source, target)

    @property
    def guided(self) -> bool:
        """True if there are unconditional rows, at the steps with guidance."""
        return self.guidance_scale > 1


@dataclass(frozen=True, eq=False)
class Sweep:
    """Result of a request.

    Attributes:
        source: (H, W, 3) uint8; for a request with an image, its reconstruction.
        edits: (K, H, W, 3) uint8, in the order of the request's ``taus``.
        rows: number of rows of the denoiser's batches that were evaluated for it.
        source_latents: (C, h, w) fp32 on the CPU, before decoding.
        edit_latents: (K, C, h, w) fp32 on the CPU.
        stopped: indices of edits that were dropped at the early stop. Their images and latents are those predicted
            there; so are the source's if all edits were dropped.
        request: what was carried out, or None.
        original: the request's image, or None.

    A notebook shows a sweep as its images.
    """

    source: NDArray[np.uint8]
    edits: NDArray[np.uint8]
    rows: int
    source_latents: Tensor
    edit_latents: Tensor
    stopped: tuple[int, ...] = ()
    request: SweepRequest | None = None
    original: NDArray[np.uint8] | None = None

    def picture(self) -> Image.Image:
        """Returns the original, if there is one, the source and the edits side by side as an image of PIL."""
        return Image.fromarray(np.hstack(self._images()))

    def show(self) -> None:
        """Shows ``picture``: in the notebook, or in the viewer of the desktop."""
        self.picture().show()

    def _images(self) -> list[NDArray[np.uint8]]:
        return [*(() if self.original is None else (self.original,)), self.source, *self.edits]

    def _repr_html_(self) -> str:
        if self.request is None:
            captions = ["source", *(f"edit {k}" for k in range(len(self.edits)))]
        else:
            captions = [self.request.source, *(f"τ = {tau:g}" for tau in self.request.taus)]
        if self.original is not None:
            captions.insert(0, "original")
        figures = []
        for image, caption in zip(self._images(), captions, strict=True):
            png = io.BytesIO()
            Image.fromarray(image).save(png, "PNG")
            data = base64.b64encode(png.getvalue()).decode()
            figures.append(
                f'<figure style="margin:0"><img src="data:image/png;base64,{data}">'
                f"<figcaption>{html.escape(caption)}</figcaption></figure>"
            )
        title = "" if self.request is None else f"<p>{html.escape(self.request.target)}</p>"
        return f'{title}<div style="display:flex;flex-wrap:wrap;gap:8px">{"".join(figures)}</div>'
