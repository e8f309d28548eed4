"""The fixed schema of a sample's JSON: every field with its type."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

TRIED = {
    "pair_id": str,
    "sample_index": int,
    "input_prompt": str,
    "edit_prompt": str,
    "output_prompt": str,
    "seed": int,
    "p2p_threshold": float,
    "cfg_scale": float,
    "clip_sim_0": float,
    "clip_sim_1": float,
    "clip_sim_dir": float,
    "clip_sim_image": float,
    "meta": str,
}
"""What samples of every version have."""
FIELDS = {
    **TRIED,
    "steps": int,
    "sampler": str,
    "guidance_interval": str,
    "edit_method": str,
    "edit_kind": str,
    "cross_gain": float,
    "self_gain": float,
    "inject_unconditional": bool,
    "rounding": str,
    "too_long": str,
    "pooled": str,
    "model": str,
    "model_revision": str,
    "model_fingerprint": str,
    "dtype": str,
}


def problems(about: Any, measures: Collection[str] = (), own: bool = True) -> Iterator[str]:
    """What is wrong with a sample's JSON, a text each.

    Args:
        about: what was read.
        measures: the names of the scores that the run took beside CLIP's.
        own: whether this version made it. Another's may lack fields that are not in ``TRIED``, and have others.
    """
    if not isinstance(about, dict):
        yield f"its JSON is no object: {about!r:.50}"
        return
    types: dict[str, type] = {**FIELDS, **dict.fromkeys(measures, float)}
    for name, kind in types.items():
        if name not in about:
            if own or name in TRIED:
                yield f"{name} is missing"
        elif type(about[name]) is not kind:
            yield f"{name} is {about[name]!r}, not {kind.__name__}"
    for name in about.keys() - types.keys():
        # A choice made again may have measures of the run before it.
        if about[name] is None or (own and type(about[name]) is not float):
            yield f"{name} is {about[name]!r}, and no field of a sample"
