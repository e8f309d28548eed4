"""Matrices R, D and c of an edit, with which no attention map has to be stored.

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
    """Matrices R (S, S), D (S,) and c (S,), fp32. R's rows are source tokens, its columns edit tokens."""

    R: Tensor
    D: Tensor
    c: Tensor

    def released(self, tokens: Iterable[int]) -> CrossEdit:
        """Moves some edit tokens from R to D, so that they keep their own attention. Returns a new edit."""
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
    """Builds the matrices for a source and a target prompt.

    Common words take the source's attention token by token, and so do swapped words with equally many tokens. If a
    word of m tokens replaces a word of n tokens, each of the m takes the share R[i, j] = 1/m of all n, so the word
    keeps its attention mass. Added words keep their own attention. Start and end tokens match each other, and padding
    j matches position j.

    Removed words have no column in the target's map, and the attention that pixels pay to them is dropped: the paper's
    equation takes (Mt)_{i,A(j)} without normalising, so a pixel's edited attention need not sum to 1. (Added words,
    whose own attention is added, have the same effect.)

    With several tokenizers this holds within each one's segment: tokens of different tokenizers never match.

    Args:
        source: S positions.
        target: S positions in the same segments.
        edit: "replace" (swaps; every word of the target must have a counterpart), "refine" (swapped words keep their
            own attention, like added ones) or "auto" (swapped words are swapped, added words added).
        reweight: factor c for words of the target.
        only: words of the target that may take the source's attention; all other positions, start, end and padding
            included, keep their own (figure 5 of the paper). None is all positions.
        alignment: pairs of a source phrase and a target phrase that match, whatever ``edit`` is. Phrases that occur
            several times are paired in order.

    Raises:
        P2PError: a word is not in its prompt, "replace" has added words, the phrases of a pair in ``alignment`` occur
            a different number of times, or a word is in two pairs.
    """
    R = torch.zeros(source.window, target.window)
    for before, after in zip(source.segments, target.segments, strict=True):
        R[before.specials, after.specials] = 1.0
        R[after.padding, after.padding] = 1.0
    texts = ([word.text for word in source.words], [word.text for word in target.words])
    for block in align(*texts, _aligned_words(source, target, alignment)):
        added = [target.words[j].text for j in block.target]
        if edit == "replace" and added and not block.source:
            raise P2PError(
                f"edit='replace': {' '.join(added)!r} matches no word of {source.text!r}; use 'auto' or 'refine'"
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
    matrices = CrossEdit(R, (R.sum(0) == 0).float(), c)
    if only is None:
        return matrices
    injected = {token for word in only for token in target.tokens_of(word, "only")}
    return matrices.released(set(range(target.window)) - injected)


def _tokens(prompt: TokenizedPrompt, words: Iterable[int], positions: range) -> list[int]:
    return [token for word in words for token in prompt.words[word].tokens if token in positions]


def _aligned_words(
    source: TokenizedPrompt, target: TokenizedPrompt, alignment: Sequence[tuple[str, str]]
) -> list[tuple[range, range]]:
    """Finds the positions of the words of each aligned pair of phrases. Raises P2PError as ``cross_edit``."""
    pairs: list[tuple[range, range]] = []
    for phrase, counterpart in alignment:
        in_source = source.occurrences(phrase, "alignment")
        in_target = target.occurrences(counterpart, "alignment")
        if len(in_source) != len(in_target):
            raise P2PError(
                f"alignment: {phrase!r} occurs {len(in_source)} times in {source.text!r}, {counterpart!r} occurs "
                f"{len(in_target)} times in {target.text!r}; add words beside them to the phrases"
            )
        pairs += zip(in_source, in_target, strict=True)
    for prompt, ranges in ((source, [i for i, _ in pairs]), (target, [j for _, j in pairs])):
        words = [word for occurrence in ranges for word in occurrence]
        repeated = next((word for k, word in enumerate(words) if word in words[:k]), None)
        if repeated is not None:
            raise P2PError(
                f"alignment: {prompt.words[repeated].text!r} of {prompt.text!r} is in two pairs; remove one"
            )
    return pairs
