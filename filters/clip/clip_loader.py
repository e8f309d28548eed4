"""Loads a CLIP model by name or from a folder."""

from __future__ import annotations

from typing import Any

import open_clip
import torch
from open_clip.pretrained import download_pretrained
from open_clip.transform import PreprocessCfg, image_transform_v2

from filters.clip.clip_scorer import Clip
from filters.clip.clip_source import ClipSource, find_clip
from filters.errors import FilterError, library_errors

BATCH_SIZE = 16


def load_clip(
    name: str, pretrained: str | None = None, device: str = "auto", batch_size: int = BATCH_SIZE
) -> Clip:
    """Loads an open_clip model, ready to score.

    Args:
        name: one of `open_clip.list_models()`, or "local-dir:PATH": a folder with open_clip_config.json,
            open_clip_model.safetensors and the tokenizer's files, for which nothing is ever fetched.
        pretrained: weights for a model's name: a tag of published weights, which the hub's cache fetches and keeps, or
            a .safetensors file. A local-dir has its own weights.
        device: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", …
        batch_size: images or captions in a batch.

    Raises:
        FilterError: no such model or weights, pickled weights, weights of another model, no such device.
    """
    if batch_size < 1:
        raise FilterError(f"batch_size is {batch_size}: give 1 or more")
    source = find_clip(name, pretrained)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    with library_errors(f"there is no device {device!r} here, give auto or cpu"):
        torch.empty(0, device=device)
    with library_errors(f"{name} cannot be loaded"):
        model = _create(source).to(device).eval().requires_grad_(False)
    with library_errors(f"{name} lacks its tokenizer, whose files belong beside the weights"):
        tokenizer = open_clip.get_tokenizer(name)
    config = PreprocessCfg(**open_clip.get_model_preprocess_cfg(model))
    return Clip(model, tokenizer, image_transform_v2(config, is_train=False), batch_size)


def _create(source: ClipSource) -> Any:
    if source.folder:
        return open_clip.create_model(source.name, require_pretrained=True)
    weights = source.weights or download_pretrained(source.tag)
    if not str(weights).endswith(".safetensors"):
        raise FilterError(
            f"{source.name}'s published weights are a pickle, which is never loaded: choose another tag"
        )
    return open_clip.create_model(
        source.name,
        pretrained=str(weights),
        # Weights by OpenAI were trained with QuickGELU. The model's name does not say so.
        force_quick_gelu=source.tag.get("quick_gelu", False),
        force_preprocess_cfg=source.tag,
        require_pretrained=True,
    )
