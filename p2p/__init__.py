"""Prompt-to-Prompt image editing (Hertz et al. 2022) over a sweep of τ, without an attention map in memory.

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
from p2p.text.prompt_loader import load_prompts

if TYPE_CHECKING:
    from p2p.attention.attention_maps import AttentionMaps
    from p2p.attention.local_blend import Blend
    from p2p.editor import Editor
    from p2p.models.loading import load
    from p2p.sweep.early_stop import Look, Predicted
    from p2p.sweep.request import Sweep, SweepRequest

# torch and diffusers take seconds to import: who counts a prompt's tokens, or asks for a fingerprint, need not wait.
_LATE = {
    "AttentionMaps": "p2p.attention.attention_maps",
    "Blend": "p2p.attention.local_blend",
    "Editor": "p2p.editor",
    "Look": "p2p.sweep.early_stop",
    "Predicted": "p2p.sweep.early_stop",
    "Sweep": "p2p.sweep.request",
    "SweepRequest": "p2p.sweep.request",
    "load": "p2p.models.loading",
}

__all__ = [
    "AttentionMaps",
    "Blend",
    "Editor",
    "Look",
    "ModelError",
    "P2PError",
    "Predicted",
    "Sweep",
    "SweepRequest",
    "fingerprint",
    "load",
    "load_prompts",
]


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module 'p2p' has no attribute {name!r}")
    return getattr(importlib.import_module(_LATE[name]), name)
