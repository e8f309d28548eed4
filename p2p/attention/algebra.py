"""An edit as matrices: R, D and c, with which no attention map has to exist.

    output = softmax(Qs Ksᵀ/√d) · (R diag(c) Vt)  +  softmax(Qt Ktᵀ/√d) · (D diag(c) Vt)

Every Edit(M, M*, t) of Prompt-to-Prompt (Hertz et al. 2022, section 3.2) is linear in the source's maps M and the
edit's own M*, so the mixing of columns can be done on the values Vt, which are always the edit's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from p2p.errors import P2PError
from p2p.text.alignment import align
from p2p.text.words import TokenizedPrompt


@dataclass(frozen=True)
class CrossEdit:
    """R (S, S), D (S,) and c (S,), fp32: source tokens are R's rows, edit tokens its columns."""

    R: Tensor
    D: Tensor
    c: Tensor

    def released(self, tokens: Iterable[int]) -> CrossEdit:
        """The same edit with some edit tokens moved from R to D: they keep their own attention."""
        R, D, index = self.R.clone(), self.D.clone(), list(tokens)
        R[:, index], D[index] = 0.0, 1.0
        return CrossEdit(R, D, self.c)


def cross_edit(
    source: TokenizedPrompt,
    target: TokenizedPrompt,
    edit: str,
    reweight: Mapping[str, float],
    only: Sequence[str] | None = None,
    alignment: Sequence[tuple[str, str]] = (),
) -> CrossEdit:
    """The matrices for a source and a target prompt.

    Words in common take the source's attention, token by token, and so do swapped words of as many tokens. A swapped
    word of m tokens in place of n shares evenly in the attention of all n, R[i, j] = 1/m, so the word keeps its
    attention mass. Added words keep their own. Start and end token match their like, padding j matches position j.

    Words removed have no column in the target's map, and what pixels paid to them is left out: the paper's equation
    takes (Mt)_{i,A(j)} as it is and does not divide by what is left, so a pixel's edited attention need not sum to 1.
    (Nor does it with words added, whose own attention comes on top.)

    With several tokenizers all this holds within each one's segment: a token never stands for another tokenizer's.

    Args:
        source: S positions.
        target: S positions, too, in the same segments.
        edit: "replace" (swaps; every word of the target must have a counterpart), "refine" (swapped words keep their
            own attention, like added ones) or "auto" (swapped words are swapped, added words added).
        reweight: factor c for words of the target.
        only: words of the target that may take the source's attention; all other positions, start, end and padding
            included, keep their own (figure 5 of the paper). None is all positions.
        alignment: phrases of the source and what stands for them in the target, whatever ``edit`` says. A phrase that
            occurs several times is paired in order.

    Raises:
        P2PError: a word that is not there, "replace" with words added, a phrase of ``alignment`` that does not occur
            equally often on both sides, or a word in two of them.
    """
    R = torch.zeros(source.window, target.window)
    for before, after in zip(source.segments, target.segments, strict=True):
        R[before.specials, after.specials] = 1.0
        R[after.padding, after.padding] = 1.0
    texts = ([word.text for word in source.words], [word.text for word in target.words])
    for block in align(*texts, _by_hand(source, target, alignment)):
        added = [target.words[j].text for j in block.target]
        if edit == "replace" and added and not block.source:
            raise P2PError(
                f"edit='replace': {' '.join(added)!r} stands for no word of {source.text!r}; use 'auto' or 'refine'"
            )
        if not block.matched and edit == "refine":
            continue
        for segment in target.segments:
            i = _tokens(source, block.source, segment.positions)
            j = _tokens(target, block.target, segment.positions)
            if len(i) == len(j):
                R[i, j] = 1.0
            elif i and j:
                R[torch.tensor(i)[:, None], torch.tensor(j)] = 1.0 / len(j)
    c = torch.ones(target.window)
    for word, weight in reweight.items():
        c[list(target.tokens_of(word, "reweight"))] = weight
    whole = CrossEdit(R, (R.sum(0) == 0).float(), c)
    if only is None:
        return whole
    chosen = {token for word in only for token in target.tokens_of(word, "only")}
    return whole.released(set(range(target.window)) - chosen)


def _tokens(prompt: TokenizedPrompt, words: Iterable[int], positions: range) -> list[int]:
    return [token for word in words for token in prompt.words[word].tokens if token in positions]


def _by_hand(
    source: TokenizedPrompt, target: TokenizedPrompt, alignment: Sequence[tuple[str, str]]
) -> list[tuple[range, range]]:
    """The pairs as places of words."""
    pairs: list[tuple[range, range]] = []
    for phrase, counterpart in alignment:
        here, there = source.occurrences(phrase, "alignment"), target.occurrences(counterpart, "alignment")
        if len(here) != len(there):
            raise P2PError(
                f"alignment: {phrase!r} is {len(here)} times in {source.text!r}, {counterpart!r} is {len(there)} "
                f"times in {target.text!r}; name more of the words beside it"
            )
        pairs += zip(here, there, strict=True)
    for prompt, places in ((source, [i for i, _ in pairs]), (target, [j for _, j in pairs])):
        words = [word for place in places for word in place]
        twice = next((word for k, word in enumerate(words) if word in words[:k]), None)
        if twice is not None:
            raise P2PError(
                f"alignment: {prompt.words[twice].text!r} of {prompt.text!r} is in two pairs; leave one out"
            )
    return pairs
