"""Scores of edited image pairs by CLIP and other measures, and the choice among candidates of InstructPix2Pix.

```python
clip = filters.load_clip("ViT-L-14", pretrained="openai")  # or "local-dir:PATH"
scores = clip.score(inputs, outputs, input_captions, output_captions)
reasons = filters.choose(sample_indices, scores, filters.Thresholds())  # "" is kept
```
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from filters.choice import Bounds, Thresholds, choose, find_missed_bounds, find_missed_thresholds
from filters.clip.clip_fingerprint import fingerprint
from filters.clip.clip_similarity import ClipScores
from filters.clip.clip_source import check_hub
from filters.errors import FilterError
from filters.measures.measure import Measure
from filters.measures.measure_registry import MEASURE_KINDS, MeasureSpec, load_measure, measure_fingerprint

if TYPE_CHECKING:
    from filters.clip.clip_loader import load_clip
    from filters.clip.clip_scorer import Clip

# open_clip takes seconds to import. The choice and the fingerprints work without it.
_LAZY = {"Clip": "filters.clip.clip_scorer", "load_clip": "filters.clip.clip_loader"}

__all__ = [
    "MEASURE_KINDS",
    "Bounds",
    "Clip",
    "ClipScores",
    "FilterError",
    "Measure",
    "MeasureSpec",
    "Thresholds",
    "check_hub",
    "choose",
    "find_missed_bounds",
    "find_missed_thresholds",
    "fingerprint",
    "load_clip",
    "load_measure",
    "measure_fingerprint",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'filters' has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
