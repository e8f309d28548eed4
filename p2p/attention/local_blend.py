"""LocalBlend: keeps an edit equal to its source outside the pixels that its words attend to (Hertz et al., appendix).

M̄ are the maps of the source's words and M̄* those of the edit's words, averaged over layers, heads and the steps so far.
B compares a map with a threshold. At every step

    α = B(M̄) ∪ B(M̄*),        z* ← (1 - α) ⊙ z + α ⊙ z*

Only the words' columns of the maps are summed, in the layers that ``map_columns.map_size`` chooses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from p2p.attention.map_columns import word_columns
from p2p.errors import P2PError
from p2p.samplers.sampler import State
from p2p.text.words import TokenizedPrompt

_TINY = 1e-12
INTERPOLATIONS = ("bilinear", "nearest")
BACKGROUNDS = ("source", "image")


@dataclass(frozen=True)
class Blend:
    """Words whose pixels an edit may change; all other pixels stay the source's.

    Attributes:
        source: word or phrase of the source, or several.
        target: word or phrase of the target, or several.
        subtract: words of either prompt whose pixels may not change.
        threshold: a pixel belongs to the words if its value is over this share of the map's maximum; in [0, 1].
        start: fraction of the steps, from the first, without blending, in [0, 1]; maps are averaged from step 0.
        interpolation: "bilinear", or "nearest" as in google/prompt-to-prompt: how maps are enlarged to the latents.
        background: the latents of all other pixels: those of the "source", or those of the inverted "image" at the same
            step, which the source of some inversions leaves (figure 12).

    Raises:
        P2PError: no words, a fraction out of [0, 1], or an unknown interpolation or background.
    """

    source: str | Sequence[str]
    target: str | Sequence[str]
    subtract: str | Sequence[str] = ()
    threshold: float = 0.3
    start: float = 0.2
    interpolation: str = "bilinear"
    background: str = "source"

    def __post_init__(self) -> None:
        for name in ("source", "target", "subtract"):
            words = getattr(self, name)
            if not isinstance(words, Sequence) or not all(isinstance(word, str) for word in words):
                raise P2PError(f"blend: {name} = {words!r} must be a word or a list of words")
            if not words and name != "subtract":
                raise P2PError(f"blend names no word of the {name}")
        for name, known in (("interpolation", INTERPOLATIONS), ("background", BACKGROUNDS)):
            if getattr(self, name) not in known:
                raise P2PError(
                    f"blend: {name} {getattr(self, name)!r} is unknown; there are {', '.join(known)}"
                )
        for name in ("threshold", "start"):
            if not 0 <= getattr(self, name) <= 1:
                raise P2PError(f"blend: {name} = {getattr(self, name)} is not in [0, 1]")


@dataclass(frozen=True)
class BlendPlan:
    """A ``Blend`` for a model: the ``size`` (h', w') of the maps, and the ``start`` steps without blending."""

    size: tuple[int, int]
    threshold: float
    start: int
    interpolation: str = "bilinear"


def blend_columns(blend: Blend, source: TokenizedPrompt, target: TokenizedPrompt) -> tuple[Tensor, Tensor]:
    """Makes columns (S, 2) of source and target: 1 at its words' tokens, and 1 at those of words to subtract.

    Raises:
        P2PError: a prompt lacks a word, or neither has a word to subtract.
    """
    subtracted: dict[TokenizedPrompt, set[int]] = {source: set(), target: set()}
    for word in _as_tuple(blend.subtract):
        prompts = [prompt for prompt in (source, target) if _has(prompt, word)]
        for prompt in prompts or (source,):
            subtracted[prompt] |= set(prompt.tokens_of(word, "blend: subtract"))
    columns = []
    for prompt, words in ((source, _as_tuple(blend.source)), (target, _as_tuple(blend.target))):
        tokens = {token for word in words for token in prompt.tokens_of(word, "blend")}
        columns.append(word_columns(prompt, [sorted(tokens), sorted(subtracted[prompt])]))
    return columns[0], columns[1]


def blend_mask(source: Tensor, target: Tensor, plan: BlendPlan, latents: tuple[int, int]) -> Tensor:
    """Computes α (h, w) bool for latents of h × w, from the column sums (P, 2) of the source and of the edit."""
    sums = torch.stack([source, target]).float()
    words, subtracted = (sums[..., column].view(2, 1, *plan.size) for column in (0, 1))
    words = _above(words, plan, latents, widened=True)
    subtracted = _above(subtracted, plan, latents, widened=False)
    return words.any(0) & ~subtracted.any(0)


def blend_states(edit: State, source: State, alpha: Tensor) -> State:
    """Takes the edit's state where α is true, the source's elsewhere: latents and the sampler's last prediction."""
    x = torch.where(alpha, edit.x, source.x)
    if edit.denoised is None or source.denoised is None:
        return State(x)
    return State(x, torch.where(alpha, edit.denoised, source.denoised))


def _above(maps: Tensor, plan: BlendPlan, latents: tuple[int, int], widened: bool) -> Tensor:
    """Finds the pixels (2, h, w) bool of maps (2, 1, h', w') over the threshold, a share of each map's maximum."""
    if widened:
        maps = F.max_pool2d(maps, 3, stride=1, padding=1)
    maps = maps / maps.amax((2, 3), keepdim=True).clamp(min=_TINY)
    smooth = {} if plan.interpolation == "nearest" else {"align_corners": False}
    return F.interpolate(maps, latents, mode=plan.interpolation, **smooth)[:, 0] > plan.threshold


def _has(prompt: TokenizedPrompt, word: str) -> bool:
    try:
        return bool(prompt.tokens_of(word, "blend"))
    except P2PError:
        return False


def _as_tuple(words: str | Sequence[str]) -> tuple[str, ...]:
    return (words,) if isinstance(words, str) else tuple(words)
