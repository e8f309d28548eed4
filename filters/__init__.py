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

from filters.choice import Bounds, Thresholds, choose, outside, verdicts
from filters.clip.clip_fingerprint import fingerprint
from filters.errors import FilterError
from filters.measures.measure import Measure
from filters.measures.measure_registry import KINDS, MeasureSpec, load_measure, measure_fingerprint
from filters.scores import ClipScores

if TYPE_CHECKING:
    from filters.clip.clip_loader import load_clip
    from filters.clip.clip_scorer import Clip

# open_clip takes seconds to import. The choice and the fingerprints work without it.
_LATE = {"Clip": "filters.clip.clip_scorer", "load_clip": "filters.clip.clip_loader"}

__all__ = [
    "KINDS",
    "Bounds",
    "Clip",
    "ClipScores",
    "FilterError",
    "Measure",
    "MeasureSpec",
    "Thresholds",
    "choose",
    "fingerprint",
    "load_clip",
    "load_measure",
    "measure_fingerprint",
    "outside",
    "verdicts",
]


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module 'filters' has no attribute {name!r}")
    return getattr(importlib.import_module(_LATE[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
