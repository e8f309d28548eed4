"""Embedded default: a drawn world with known truth, the recipes that train its models, and the weights."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).parent

MODEL = _HERE / "weights" / "model"
"""A diffusers folder: `StableDiffusionPipeline.from_pretrained(miniworld.MODEL)` loads it."""

CLIP = _HERE / "weights" / "clip"
"""An open_clip local-dir: `open_clip.create_model(f"local-dir:{miniworld.CLIP}")` loads it."""

WRITER = _HERE / "weights" / "writer"
"""A transformers folder: a small causal language model that writes caption pairs of this world."""

CAPTIONS = _HERE / "captions" / "pairs.jsonl"
"""256 caption pairs of this world, one JSON object a line."""

ALONE = _HERE / "captions" / "captions.txt"
"""Captions of this world, one a line, as input for `pairforge pairs`."""

__all__ = ["ALONE", "CAPTIONS", "CLIP", "MODEL", "WRITER"]
