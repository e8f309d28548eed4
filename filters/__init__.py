"""CLIP's scores of edited image pairs and the choice among candidates, as InstructPix2Pix makes it.

```python
clip = filters.load_clip("ViT-L-14", pretrained="openai")  # or "local-dir:PATH"
scores = clip.score(inputs, outputs, input_captions, output_captions)
reasons = filters.choose(sample_indices, scores, filters.Thresholds())  # "" is kept
```
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from filters.choice import Thresholds, choose, verdicts
from filters.errors import FilterError
from filters.fingerprint import fingerprint
from filters.measure import Bounds, Measure, outside
from filters.measures import KINDS, MeasureSpec, load_measure, measure_fingerprint
from filters.scores import ClipScores

if TYPE_CHECKING:
    from filters.clip import Clip
    from filters.load import load_clip

# open_clip takes seconds to import: who only chooses, or asks for a fingerprint, need not wait for it.
_LATE = {"Clip": "filters.clip", "load_clip": "filters.load"}

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
