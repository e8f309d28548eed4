"""Selection of the examples on the page. It is deterministic: a report made again shows the same candidates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pyarrow as pa

KEPT, NEAR, WORST = 240, 40, 40


def describe_rule(kept: int, pairs_kept: int, drawn_from: int, missed: int) -> str:
    """The rule of the selection in words.

    Args:
        kept: the kept candidates that are shown.
        pairs_kept: the pairs with a sample.
        drawn_from: the pairs that the rejected candidates were chosen from.
        missed: the pairs with a candidate below a threshold.
    """
    sentences = ["Nothing was kept."]
    if kept == pairs_kept == 1:
        sentences = ["Kept: the only pair with a sample, by its best sample in direction."]
    elif kept:
        drawn = (
            f"{kept:,} of {pairs_kept:,} pairs with a sample, drawn by a hash" if kept < pairs_kept else ""
        )
        drawn = drawn or f"all {kept:,} pairs with a sample"
        sentences = [f"Kept: {drawn}, each by its best sample in direction."]
    if missed:
        sentences.append(
            "Near misses: the rejected candidates that are least below a threshold. Worst rejected: those that are "
            "furthest below one. Each list has at most one candidate of a caption pair."
        )
        if drawn_from < missed:
            sentences.append(
                f"Both are chosen from {drawn_from:,} of {missed:,} pairs with such candidates: those with pictures."
            )
    return " ".join(sentences)


def select_kept(scores: pa.Table) -> list[int]:
    """Indices of the kept candidates to show: the best of each pair by direction, by pair id, at most KEPT."""
    kept = np.flatnonzero(scores["kept"].to_numpy())
    ids = scores["pair_id"].take(kept).to_pylist()
    direction = scores["clip_sim_dir"].to_numpy()
    best: dict[str, int] = {}
    for index, pair in zip(kept.tolist(), ids, strict=True):
        if pair not in best or direction[index] > direction[best[pair]]:
            best[pair] = index
    return [best[pair] for pair in sorted(best)[:KEPT]]


def shortfall(scores: pa.Table, thresholds: Mapping[str, float]) -> np.ndarray:
    """How far each candidate is below the threshold that it misses most; 0 if it reaches all. (candidates,) float."""
    short = [limit - scores[name].to_numpy() for name, limit in thresholds.items()]
    return np.maximum(np.max(short, axis=0), 0.0)


def select_missed(
    scores: pa.Table, thresholds: Mapping[str, float], among: np.ndarray | None = None
) -> tuple[list[int], list[int]]:
    """Indices of the near misses, nearest first, and of the worst rejected candidates, furthest first.

    ``among``: bool (candidates,), those to choose from; all by default.
    """
    short = shortfall(scores, thresholds)
    if among is not None:
        short = np.where(among, short, 0.0)
    below = np.flatnonzero(short > 0)
    order = below[np.argsort(short[below], kind="stable")].tolist()
    near = _first_of_each_pair(order, scores["pair_id"], NEAR)
    shown = set(near)
    rest = (index for index in reversed(order) if index not in shown)
    return near, _first_of_each_pair(rest, scores["pair_id"], WORST)


def _first_of_each_pair(indices: Iterable[int], ids: pa.ChunkedArray, count: int) -> list[int]:
    chosen: dict[str, int] = {}
    for index in indices:
        if len(chosen) == count:
            break
        chosen.setdefault(ids[index].as_py(), index)
    return list(chosen.values())
