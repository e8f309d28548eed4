"""Loads a diffusers pipeline from a folder, without the network and without pickled weights."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch


def load_pipeline(
    pipeline_class: Any,
    folder: Path,
    device: torch.device,
    dtype: torch.dtype,
    offload: bool = False,
    on_host: Collection[str] = (),
    quantization: Any = None,
    **options: Any,
) -> Any:
    """Loads a pipeline's parts to ``device`` in ``dtype``, all but those for input images.

    With ``offload`` text encoders stay in the memory of the host, and so do the parts ``on_host``. ``quantization`` is
    a configuration of diffusers, which puts the parts that it names on the GPU itself. ``options`` are passed to
    ``from_pretrained``: settings of the class, the variant of the weights, or None for a part that is not loaded.

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
        **({"quantization_config": quantization} if quantization else {}),
        **options,
    )
    placed = {*on_host, *(quantization.quant_mapping if quantization else ())}
    for name, part in pipeline.components.items():
        waits = name in placed or (offload and name.startswith("text_encoder"))
        if isinstance(part, torch.nn.Module) and not waits:
            part.to(device)
    return pipeline
