"""Inverted image, from which a method makes the plans of its edits."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from p2p.families.family import Conditioning, Family


@dataclass(frozen=True, eq=False)
class InvertedImage:
    """Trajectory of an image.

    Attributes:
        family: the model.
        source: conditioning of the inversion: the caption, without guidance.
        trajectory: (T + 1, C, h, w) fp32; the latents before each step of the sampler and, last, the image's.
        found: what methods have computed for the image and can use again, by keys of their own.
    """

    family: Family
    source: Conditioning
    trajectory: Tensor
    found: dict[Hashable, Any] = field(default_factory=dict)
