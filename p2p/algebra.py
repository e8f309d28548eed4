"""An edit as matrices: R, D and c, with which no attention map has to exist.

    output = softmax(Qs Ksᵀ/√d) · (R diag(c) Vt)  +  softmax(Qt Ktᵀ/√d) · (D diag(c) Vt)

Every Edit(M, M*, t) of Prompt-to-Prompt (Hertz et al. 2022, section 3.2) is linear in the source's maps M and the
edit's own M*, so the mixing of columns can be done on the values Vt, which are always the edit's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from p2p.alignment import align
from p2p.errors import P2PError
from p2p.words import TokenizedPrompt


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
    source: TokenizedPrompt, target: TokenizedPrompt, edit: str, reweight: Mapping[str, float]
) -> CrossEdit:
    """The matrices for a source and a target prompt.

    Words in common take the source's attention, token by token, and so do swapped words of as many tokens. A swapped
    word of m tokens in place of n shares evenly in the attention of all n, R[i, j] = 1/m, so the word keeps its
    attention mass. Added words keep their own. Start and end token match their like, padding j matches position j.

    Args:
        source: S positions.
        target: S positions, too.
        edit: "replace" (swaps; every word of the target must have a counterpart), "refine" (swapped words keep their
            own attention, like added ones) or "auto" (swapped words are swapped, added words added).
        reweight: factor c for words of the target.

    Raises:
        P2PError: a word of ``reweight`` that the target does not have, or "replace" with words added.
    """
    R = torch.zeros(source.window, target.window)
    R[0, 0] = R[source.end, target.end] = 1.0
    padding = range(target.end + 1, target.window)
    R[padding, padding] = 1.0
    for block in align([word.text for word in source.words], [word.text for word in target.words]):
        added = [target.words[j].text for j in block.target]
        if edit == "replace" and added and not block.source:
            raise P2PError(
                f"edit='replace': {' '.join(added)!r} stands for no word of {source.text!r}; use 'auto' or 'refine'"
            )
        i = [token for word in block.source for token in source.words[word].tokens]
        j = [token for word in block.target for token in target.words[word].tokens]
        if not block.common and edit == "refine":
            continue
        if len(i) == len(j):
            R[i, j] = 1.0
        elif i and j:
            R[torch.tensor(i)[:, None], torch.tensor(j)] = 1.0 / len(j)
    c = torch.ones(target.window)
    for word, weight in reweight.items():
        c[list(target.tokens_of(word, "reweight"))] = weight
    return CrossEdit(R, (R.sum(0) == 0).float(), c)
