"""CLIP's scores of edited image pairs and the choice among candidates, as InstructPix2Pix makes it.

clip = filters.load_clip("ViT-L-14", pretrained="openai")  # or "local-dir:PATH"
scores = clip.score(inputs, outputs, input_captions, output_captions)
reasons = filters.choose(sample_indices, scores, filters.Thresholds())  # "" is kept
"""

from __future__ import annotations

from filters.choice import Thresholds, choose, verdicts
from filters.clip import Clip
from filters.errors import FilterError
from filters.fingerprint import fingerprint
from filters.load import load_clip
from filters.scores import ClipScores

__all__ = [
    "Clip",
    "ClipScores",
    "FilterError",
    "Thresholds",
    "choose",
    "fingerprint",
    "load_clip",
    "verdicts",
]
