"""Samples a batch of continuations, each row with its own generator."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from transformers import LogitsProcessor, PreTrainedTokenizerBase, StoppingCriteria


class TokenSampler(LogitsProcessor):
    """Samples one token for each row and leaves only its logit, so that greedy decoding takes it.

    transformers samples all rows from one generator, so that a row's text depends on the other rows. Here each row
    draws one number a token from its own generator, and takes the token at that quantile of its distribution.
    """

    def __init__(self, seeds: Sequence[int], temperature: float, top_p: float) -> None:
        """``temperature`` over 0; ``top_p`` in (0, 1], the mass of the likeliest tokens that are drawn from."""
        self._draws = [np.random.default_rng(seed) for seed in seeds]
        self._temperature = temperature
        self._top_p = top_p

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """(rows, vocabulary) logits → the same with all but one token of each row at -inf."""
        likely, tokens = torch.sort(scores.double() / self._temperature, descending=True, stable=True)
        mass = torch.softmax(likely, -1)
        until = torch.cumsum(mass, -1)
        mass = mass * (until - mass < self._top_p)
        until = torch.cumsum(mass, -1)
        drawn = torch.tensor(
            [[draw.random()] for draw in self._draws], dtype=until.dtype, device=until.device
        )
        place = torch.searchsorted(until, drawn * until[:, -1:], right=True)
        last = (mass > 0).sum(-1, keepdim=True) - 1
        sampled = tokens.gather(-1, torch.minimum(place, last))
        return torch.full_like(scores, -torch.inf).scatter(-1, sampled, 0.0)


class StopAtSequence(StoppingCriteria):
    """Ends a row at its stop sequence, and at once each row after the first ``rows``, which fills the batch."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, stop: str, rows: int, prompt_tokens: int) -> None:
        self._tokenizer = tokenizer
        self._stop = stop
        self._rows = rows
        self._prompt_tokens = prompt_tokens
        # A token stands for at least one byte, so these tokens contain a stop sequence that was just written.
        self._tail = len(stop.encode()) + 4

    def __call__(self, input_ids: Tensor, scores: Tensor, **kwargs: object) -> Tensor:
        """(rows, tokens) → (rows,) bool, true for finished rows."""
        new = input_ids[:, self._prompt_tokens :][:, -self._tail :]
        texts = self._tokenizer.batch_decode(new[: self._rows]) if self._stop else [""] * self._rows
        done = [bool(self._stop) and self._stop in text for text in texts]
        filling = [True] * (len(input_ids) - self._rows)
        return torch.tensor(done + filling, device=input_ids.device)
