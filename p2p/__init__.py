"""Prompt-to-Prompt image editing (Hertz et al. 2022) over a sweep of τ, without storing attention maps.

```python
editor = p2p.load("path/to/stable-diffusion")
sweep = editor.sweep("a red ball on grass", "a blue ball on grass", taus=(0.2, 0.5, 0.8))
sweep.edits[1]  # uint8 (H, W, 3)
```
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from p2p.errors import ModelError, P2PError
from p2p.models.model_fingerprint import fingerprint
from p2p.models.tokenizer_loader import load_tokenizer

if TYPE_CHECKING:
    from p2p.attention.local_blend import Blend
    from p2p.attention_maps import AttentionMaps
    from p2p.editor import Editor
    from p2p.models.model_loader import load
    from p2p.sweep.early_stop import EarlyStop, PredictedImages
    from p2p.sweep.request import Sweep, SweepRequest

# torch and diffusers take seconds to import, which counting tokens and fingerprints do not need.
_LAZY = {
    "AttentionMaps": "p2p.attention_maps",
    "Blend": "p2p.attention.local_blend",
    "EarlyStop": "p2p.sweep.early_stop",
    "Editor": "p2p.editor",
    "PredictedImages": "p2p.sweep.early_stop",
    "Sweep": "p2p.sweep.request",
    "SweepRequest": "p2p.sweep.request",
    "load": "p2p.models.model_loader",
}

__all__ = [
    "AttentionMaps",
    "Blend",
    "EarlyStop",
    "Editor",
    "ModelError",
    "P2PError",
    "PredictedImages",
    "Sweep",
    "SweepRequest",
    "fingerprint",
    "load",
    "load_tokenizer",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'p2p' has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
