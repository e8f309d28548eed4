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
from p2p.identity import fingerprint
from p2p.prompts import load_prompts

if TYPE_CHECKING:
    from p2p.blend import Blend
    from p2p.editor import Editor
    from p2p.loading import load
    from p2p.look import Look, Predicted
    from p2p.pictures import AttentionMaps
    from p2p.request import Sweep, SweepRequest

# torch and diffusers take seconds to import: who counts a prompt's tokens, or asks for a fingerprint, need not wait.
_LATE = {
    "AttentionMaps": "p2p.pictures",
    "Blend": "p2p.blend",
    "Editor": "p2p.editor",
    "Look": "p2p.look",
    "Predicted": "p2p.look",
    "Sweep": "p2p.request",
    "SweepRequest": "p2p.request",
    "load": "p2p.loading",
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
