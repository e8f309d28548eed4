"""Precision and recall of a score, and scores made of several: fitted on some caption pairs, tried on others."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

FOLDS = 8
PENALTY = 1e-3
QUANTILES = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)


@dataclass(frozen=True)
class Curve:
    """Precision and recall of those that score at least ``threshold``, from the highest threshold to the lowest."""

    threshold: np.ndarray
    precision: np.ndarray
    recall: np.ndarray

    @property
    def area(self) -> float:
        """Average precision: each step of recall with the precision reached there."""
        return float((np.diff(self.recall, prepend=0) * self.precision).sum())

    def at(self, recall: float) -> float:
        """The best precision with that recall or more."""
        return float(self.precision[self.recall >= recall - 1e-12].max())


def curve(score: np.ndarray, right: np.ndarray) -> Curve:
    """Of N candidates with a score each, ``right`` bool (N,) with at least one true. Equal scores pass together."""
    order = np.argsort(-score, kind="stable")
    ranked, hits = score[order], np.cumsum(right[order])
    last = np.append(ranked[1:] != ranked[:-1], True)
    passed = np.arange(1, len(score) + 1)[last]
    return Curve(ranked[last], hits[last] / passed, hits[last] / hits[-1])


def point(passes: np.ndarray, right: np.ndarray) -> tuple[float, float]:
    """Precision (1 where nothing passes) and recall of a choice, bool (N,)."""
    hits = (passes & right).sum()
    return float(hits / passes.sum()) if passes.any() else 1.0, float(hits / right.sum())


def margin(scores: np.ndarray, thresholds: tuple[float, ...]) -> np.ndarray:
    """(N,) by how much the tightest of the scores (S, N) exceeds its threshold, in standard deviations of that score.

    All thresholds in lockstep: 0 is where they are as given.
    """
    return ((scores - np.array(thresholds)[:, None]) / scores.std(1, keepdims=True)).min(0)


def folds(group: np.ndarray) -> list[np.ndarray]:
    """Bool (N,) each: the candidates of one in `FOLDS` groups. None is in two, all are in one."""
    shuffled = np.random.default_rng(0).permutation(int(group.max()) + 1)
    return [np.isin(group, part) for part in np.array_split(shuffled, FOLDS) if np.isin(group, part).any()]


def logistic(features: np.ndarray, right: np.ndarray, group: np.ndarray) -> np.ndarray:
    """(N,) log-odds by a logistic regression over ``features`` (F, N), each fitted on the other folds' groups."""
    log_odds = np.zeros(len(right))
    for held in folds(group):
        weights, bias = fit_logistic(features[:, ~held], right[~held])
        log_odds[held] = weights @ features[:, held] + bias
    return log_odds


def fit_logistic(features: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights (F,) and bias, with a slight penalty on the weights of standardised features."""
    mean, std = features.mean(1), features.std(1) + 1e-9
    x = torch.from_numpy(((features.T - mean) / std).astype(np.float64))
    y = torch.from_numpy(right.astype(np.float64))
    weights = torch.zeros(x.shape[1] + 1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = F.binary_cross_entropy_with_logits(x @ weights[:-1] + weights[-1], y)
        value = value + PENALTY * weights[:-1].square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    found = weights.detach().numpy()
    scaled = found[:-1] / std
    return scaled, float(found[-1] - scaled @ mean)


def fit_thresholds(scores: np.ndarray, right: np.ndarray, recall: float) -> tuple[float, ...]:
    """The thresholds of the scores (S, N), to 0.01, of the best precision among those with that recall or more.

    Each is tried at some quantiles of the right ones' own scores, the lowest of which lets all of them pass.
    """
    grid = [np.floor(np.quantile(own[right], QUANTILES) * 100) / 100 for own in scores]
    passing = [[own >= level for level in levels] for own, levels in zip(scores, grid, strict=True)]
    rated = []
    for chosen in itertools.product(range(len(QUANTILES)), repeat=len(scores)):
        passes = np.logical_and.reduce([own[k] for own, k in zip(passing, chosen, strict=True)])
        precision, reached = point(passes, right)
        if reached >= recall:
            rated.append((precision, reached, chosen))
    best = max(rated)[2]
    return tuple(float(levels[k]) for levels, k in zip(grid, best, strict=True))


def tried_thresholds(scores: np.ndarray, right: np.ndarray, group: np.ndarray, recall: float) -> np.ndarray:
    """Bool (N,): what passes thresholds that were fitted on the other folds' groups."""
    passes = np.zeros(len(right), bool)
    for held in folds(group):
        thresholds = fit_thresholds(scores[:, ~held], right[~held], recall)
        passes[held] = (scores[:, held] >= np.array(thresholds)[:, None]).all(0)
    return passes
