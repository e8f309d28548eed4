"""Which candidates the page shows. The rule is stated on it, and a report made again shows the same ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pyarrow as pa

KEPT, NEAR, WORST = 240, 40, 40
RULE = (
    f"Of more than {KEPT} kept pairs, those {KEPT} whose pair id is lowest (an id is a hash, so this is a fair draw), "
    f"one sample each, its best by direction. Near misses: the {NEAR} rejected candidates least short of a threshold, "
    f"worst rejected: the {WORST} furthest short, at most one a caption pair."
)


def kept(scores: pa.Table) -> list[int]:
    """Rows of the kept candidates to show: one a pair, by pair id, at most KEPT."""
    rows = np.flatnonzero(scores["kept"].to_numpy())
    ids = scores["pair_id"].take(rows).to_pylist()
    direction = scores["clip_sim_dir"].to_numpy()
    best: dict[str, int] = {}
    for row, pair in zip(rows.tolist(), ids, strict=True):
        if pair not in best or direction[row] > direction[best[pair]]:
            best[pair] = row
    return [best[pair] for pair in sorted(best)[:KEPT]]


def shortfall(scores: pa.Table, thresholds: Mapping[str, float]) -> np.ndarray:
    """How far each candidate is below the threshold it misses most; 0 for one that reaches all. (rows,), float."""
    short = [limit - scores[name].to_numpy() for name, limit in thresholds.items()]
    return np.maximum(np.max(short, axis=0), 0.0)


def missed(scores: pa.Table, thresholds: Mapping[str, float]) -> tuple[list[int], list[int]]:
    """Rows of the near misses, nearest first, and of the worst rejected, furthest first."""
    short = shortfall(scores, thresholds)
    below = np.flatnonzero(short > 0)
    order = below[np.argsort(short[below], kind="stable")]
    ids = scores["pair_id"]
    near = _one_a_pair(order, ids, NEAR)
    shown = set(near)
    worst = _one_a_pair((row for row in order[::-1] if row not in shown), ids, WORST)
    return near, worst


def _one_a_pair(rows: Iterable[int], ids: pa.ChunkedArray, most: int) -> list[int]:
    chosen: dict[str, int] = {}
    for row in rows:
        if len(chosen) == most:
            break
        chosen.setdefault(ids[int(row)].as_py(), int(row))
    return list(chosen.values())
