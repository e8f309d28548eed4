"""The fixed schema of a sample's JSON: every field with its type."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

FIELDS = {
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
"""The fields of every sample. Another set of fields needs another ``pipeline.planning.run_fingerprint.FORMAT``."""

OPTIONAL_FIELDS = {
    "max_sequence_length": int,
    "negative_prompt": str,
    "spacing": str,
    "self_max_size": float,
    "start": float,
    "self_tau": float,
}
"""The fields of samples whose run has the setting of this name; it is null in other runs."""

IMAGE_FIELDS = {"image_sha256": str, "inversion": str, "source": str}
"""The fields of samples of a run in which some caption pair has an image."""


def find_problems(metadata: Any, measures: Collection[str] = (), images: bool = False) -> Iterator[str]:
    """Yields a text for each problem of a sample's JSON.

    ``measures`` names the run's scores besides CLIP's. ``images``: some caption pair of the run has an image.
    """
    if not isinstance(metadata, dict):
        yield f"its JSON is no object: {metadata!r:.50}"
        return
    types: dict[str, type] = {**FIELDS, **dict.fromkeys(measures, float), **(IMAGE_FIELDS if images else {})}
    for name, kind in types.items():
        if name not in metadata:
            yield f"{name} is missing"
        elif type(metadata[name]) is not kind:
            yield f"{name} is {metadata[name]!r}, not {kind.__name__}"
    for name in metadata.keys() - types.keys():
        # The samples of a refiltered output may have measures of the run before it.
        if type(metadata[name]) is not OPTIONAL_FIELDS.get(name, float):
            yield f"{name} is {metadata[name]!r}, and no field of a sample"
