"""From a model's name to a CLIP that scores."""

from __future__ import annotations

from typing import Any

import open_clip
import torch
from open_clip.pretrained import download_pretrained
from open_clip.transform import PreprocessCfg, image_transform_v2

from filters.clip import Clip
from filters.errors import FilterError
from filters.source import ClipSource, find_clip

BATCH_SIZE = 16


def load_clip(
    name: str, pretrained: str | None = None, device: str = "auto", batch_size: int = BATCH_SIZE
) -> Clip:
    """Load an open_clip model, ready to score.

    Args:
        name: one of `open_clip.list_models()`, or "local-dir:PATH", a folder with open_clip_config.json,
            open_clip_model.safetensors and the tokenizer's files, for which nothing is ever fetched.
        pretrained: for a model's name, a tag of its published weights, which are fetched and kept by the hub's
            own cache, or a .safetensors file. A local-dir has its own weights.
        device: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1"...
        batch_size: rows of a batch, images and captions alike.

    Raises:
        FilterError: no such model or weights, weights that are pickled or of another model, no such device.
    """
    source = find_clip(name, pretrained)
    try:
        target = torch.device(
            ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        )
        model = _create(source).to(target).eval().requires_grad_(False)
        tokenizer = open_clip.get_tokenizer(name)
    except FilterError:
        raise
    except Exception as error:
        raise FilterError(f"{name} cannot be loaded: {_one_line(error)}") from error
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
        # Weights by OpenAI were trained with QuickGELU, which the name alone does not say.
        force_quick_gelu=source.tag.get("quick_gelu", False),
        force_preprocess_cfg=source.tag,
        require_pretrained=True,
    )


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else text[:299] + "…"
