"""LocalBlend: outside of what the words' maps cover, an edit is held to its source's latents (Hertz et al., appendix).

At every step, B being a threshold on maps averaged over the layers, heads and steps so far, M̄ that of the words of the
source and M̄* that of the words of the edit, each in its own branch:

    α = B(M̄) ∪ B(M̄*),        z* ← (1 - α) ⊙ z + α ⊙ z*

Only the words' columns of the maps are ever added up, in the layers that ``map_columns.map_size`` chooses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from p2p.attention.map_columns import columns
from p2p.errors import P2PError
from p2p.samplers import State
from p2p.text.words import TokenizedPrompt

_TINY = 1e-12


@dataclass(frozen=True)
class Blend:
    """Where an edit may differ from its source.

    Attributes:
        source: the word or phrase of the source whose place may change, or several.
        target: that of the target.
        subtract: words of either prompt whose place may not change.
        threshold: share of the greatest value of a map from which on a pixel counts as the words' own.
        start: fraction of the steps, from the first, that are not blended; maps are averaged from the first on.

    Raises:
        P2PError: no words, or a fraction out of [0, 1].
    """

    source: str | Sequence[str]
    target: str | Sequence[str]
    subtract: str | Sequence[str] = ()
    threshold: float = 0.3
    start: float = 0.2

    def __post_init__(self) -> None:
        for name in ("source", "target"):
            if not _several(getattr(self, name)):
                raise P2PError(f"blend: no word of the {name} is named")
        for name in ("threshold", "start"):
            if not 0 <= getattr(self, name) <= 1:
                raise P2PError(f"blend: {name} = {getattr(self, name)} is not in [0, 1]")


@dataclass(frozen=True)
class BlendPlan:
    """A ``Blend`` made ready: the ``size`` (h', w') of the maps, and ``start`` steps that are not blended."""

    size: tuple[int, int]
    threshold: float
    start: int


def watched_columns(blend: Blend, source: TokenizedPrompt, target: TokenizedPrompt) -> tuple[Tensor, Tensor]:
    """(S, 2) for the source and for the target: 1 at the tokens of its words, and at those of the words to subtract.

    Raises:
        P2PError: a word that its prompt does not have, or a word to subtract that neither has.
    """
    subtracted: dict[TokenizedPrompt, set[int]] = {source: set(), target: set()}
    for word in _several(blend.subtract):
        having = [prompt for prompt in (source, target) if _has(prompt, word)]
        for prompt in having or (source,):
            subtracted[prompt] |= set(prompt.tokens_of(word, "blend: subtract"))
    both = []
    for prompt, words in ((source, _several(blend.source)), (target, _several(blend.target))):
        tokens = {token for word in words for token in prompt.tokens_of(word, "blend")}
        both.append(columns(prompt, [sorted(tokens), sorted(subtracted[prompt])]))
    return both[0], both[1]


def mask(source: Tensor, target: Tensor, plan: BlendPlan, latents: tuple[int, int]) -> Tensor:
    """α (h, w) bool, from the sums of the maps' columns (P, 2) of the source and of the edit."""
    sums = torch.stack([source, target]).float()
    words = _above(_grid(sums[..., 0], plan.size), plan.threshold, latents, widened=True)
    subtracted = _above(_grid(sums[..., 1], plan.size), plan.threshold, latents, widened=False)
    return words.any(0) & ~subtracted.any(0)


def blended(edit: State, source: State, alpha: Tensor) -> State:
    """The edit's state where α, the source's elsewhere; whatever the sampler remembers with the latents."""
    x = torch.where(alpha, edit.x, source.x)
    if edit.denoised is None or source.denoised is None:
        return State(x)
    return State(x, torch.where(alpha, edit.denoised, source.denoised))


def _above(maps: Tensor, threshold: float, latents: tuple[int, int], widened: bool) -> Tensor:
    """(2, h, w) bool for maps (2, 1, h', w'), each in relation to its greatest value."""
    if widened:
        maps = F.max_pool2d(maps, 3, stride=1, padding=1)
    maps = maps / maps.amax((2, 3), keepdim=True).clamp(min=_TINY)
    return F.interpolate(maps, latents, mode="bilinear", align_corners=False)[:, 0] > threshold


def _grid(sums: Tensor, size: tuple[int, int]) -> Tensor:
    return sums.view(len(sums), 1, *size)


def _has(prompt: TokenizedPrompt, word: str) -> bool:
    try:
        return bool(prompt.tokens_of(word, "blend"))
    except P2PError:
        return False


def _several(words: str | Sequence[str]) -> tuple[str, ...]:
    return (words,) if isinstance(words, str) else tuple(words)
