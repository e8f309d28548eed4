"""Sampling a batch of continuations, each row with a generator of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from transformers import LogitsProcessor, PreTrainedTokenizerBase, StoppingCriteria


class Draw(LogitsProcessor):
    """Leaves of each row's logits the one token that is drawn: what follows takes the largest.

    transformers' own sampling draws all rows from one generator, so that a row's text would depend on its company. Here
    a row draws one number a token from its own, and takes the token of that quantile of its distribution.
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
        chosen = tokens.gather(-1, torch.minimum(place, last))
        return torch.full_like(scores, -torch.inf).scatter(-1, chosen, 0.0)


class Stopped(StoppingCriteria):
    """Ends a row at its stop sequence; at once those behind the first ``rows``, which only fill the batch."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, stop: str, rows: int, prompt_tokens: int) -> None:
        self._tokenizer = tokenizer
        self._stop = stop
        self._rows = rows
        self._prompt_tokens = prompt_tokens
        # A token stands for a byte at least, so that these hold the stop whole if it has just been written.
        self._tail = len(stop.encode()) + 4

    def __call__(self, input_ids: Tensor, scores: Tensor, **kwargs: object) -> Tensor:
        """(rows, tokens) → (rows,) whether each is done."""
        new = input_ids[:, self._prompt_tokens :][:, -self._tail :]
        texts = self._tokenizer.batch_decode(new[: self._rows]) if self._stop else [""] * self._rows
        done = [bool(self._stop) and self._stop in text for text in texts]
        filling = [True] * (len(input_ids) - self._rows)
        return torch.tensor(done + filling, device=input_ids.device)
