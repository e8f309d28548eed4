"""Loads a diffusers pipeline from a folder, without the network and without pickled weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch


def load_pipeline(
    pipeline_class: Any,
    folder: Path,
    device: torch.device,
    dtype: torch.dtype,
    offload: bool = False,
    **options: Any,
) -> Any:
    """Loads a pipeline's parts to ``device`` in ``dtype``, all but those for input images.

    With ``offload`` text encoders stay in the memory of the host. ``options`` are passed to ``from_pretrained``:
    settings of the class, the variant of the weights, or None for a part that is not loaded.

    Raises:
        OSError: a part is absent, or has no safetensors weights.
    """
    pipeline = pipeline_class.from_pretrained(
        folder,
        dtype=dtype,
        use_safetensors=True,
        local_files_only=True,
        feature_extractor=None,
        image_encoder=None,
        **options,
    )
    if not offload:
        return pipeline.to(device)
    for name, part in pipeline.components.items():
        if isinstance(part, torch.nn.Module) and not name.startswith("text_encoder"):
            part.to(device)
    return pipeline
