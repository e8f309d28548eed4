"""A small open_clip model with random weights, saved as the local-dir that `filters.load_clip` and open_clip open."""

from __future__ import annotations

import json
from pathlib import Path

import open_clip
import torch
from safetensors.torch import save_file

from tests.models import TOKENS, clip_tokenizer

IMAGE_SIZE = 32


def build_clip(
    folder: Path, image_size: int = IMAGE_SIZE, resize_mode: str = "shortest", seed: int = 0
) -> Path:
    """Save a CLIP of `image_size` pixels, 16 feature dimensions and 20 tokens; its folder.

    Args:
        folder: where to save; made if it is not there.
        image_size: side of the square images that the model sees, a multiple of 8.
        resize_mode: open_clip's: shortest, longest or squash.
        seed: of the weights.
    """
    tokenizer = clip_tokenizer()
    model_cfg = {
        "embed_dim": 16,
        "vision_cfg": {"image_size": image_size, "patch_size": 8, "width": 32, "layers": 2, "head_width": 16},
        "text_cfg": {
            "context_length": TOKENS,
            "vocab_size": len(tokenizer),
            "width": 32,
            "heads": 2,
            "layers": 2,
            "hf_tokenizer_name": "tokenizer",
        },
    }
    preprocess_cfg = {
        "size": image_size,
        "mean": [0.5, 0.45, 0.4],
        "std": [0.25, 0.26, 0.27],
        "interpolation": "bicubic",
        "resize_mode": resize_mode,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = open_clip.CLIP(**model_cfg)
        _spread(model)
    folder.mkdir(parents=True, exist_ok=True)
    config = {"model_cfg": model_cfg, "preprocess_cfg": preprocess_cfg}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    save_file(dict(model.state_dict()), folder / "open_clip_model.safetensors")
    tokenizer.save_pretrained(folder)
    return folder


def _spread(model: open_clip.CLIP) -> None:
    """Enlarge the weights: at CLIP's own start every input has nearly the same features."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith(("in_proj_weight", "out_proj.weight", "c_fc.weight", "c_proj.weight")):
                weight *= 3
        model.token_embedding.weight *= 50
        model.visual.conv1.weight *= 5
