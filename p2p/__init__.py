"""Prompt-to-Prompt image editing (Hertz et al. 2022) over a sweep of τ, without an attention map in memory.

editor = p2p.load("path/to/stable-diffusion")
sweep = editor.sweep("a red ball on grass", "a blue ball on grass", taus=(0.2, 0.5, 0.8))
sweep.edits[1]  # uint8 (H, W, 3)
"""

from __future__ import annotations

from p2p.blend import Blend
from p2p.editor import Editor
from p2p.errors import ModelError, P2PError
from p2p.identity import fingerprint
from p2p.loading import load, load_prompts
from p2p.pictures import AttentionMaps
from p2p.request import Sweep, SweepRequest

__all__ = [
    "AttentionMaps",
    "Blend",
    "Editor",
    "ModelError",
    "P2PError",
    "Sweep",
    "SweepRequest",
    "fingerprint",
    "load",
    "load_prompts",
]
