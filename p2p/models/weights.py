"""Weights of a model folder: their variant, and whether they fit into the memory of a device."""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from p2p.errors import ModelError

_NAME = re.compile(r"[\w-]+?(?:\.(?P<variant>\w+?))?(?:-\d+-of-\d+)?\.safetensors")
_EMBEDDING = re.compile(r"shared|embed_tokens|relative_attention_bias")
_UNUSED = ("scheduler", "tokenizer", "safety_checker", "feature_extractor", "image_encoder")
_FLOATS = {"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"}
_BYTES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "I16": 2}
# Activations of a small batch, the context of CUDA and the kernels' work space.
HEADROOM = 2 * 2**30


def weighted_parts(folder: Path) -> list[str]:
    """Lists the parts of a pipeline that have weights which are loaded."""
    index: dict[str, Any] = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    return [
        name
        for name, value in index.items()
        if isinstance(value, list) and value[0] is not None and not name.startswith(_UNUSED)
    ]


def find_variant(folder: Path) -> str | None:
    """Finds the variant to load, such as "fp16", if a part has no weights without a variant; else None.

    Raises:
        ModelError: no variant is there for all such parts.
    """
    by_part = {
        part: set(map(variant_of, (folder / part).glob("*.safetensors"))) for part in weighted_parts(folder)
    }
    lacking = {part: found for part, found in by_part.items() if found and None not in found}
    if not lacking:
        return None
    shared = set.intersection(*lacking.values())
    if not shared:
        parts = "; ".join(f"{part}: {', '.join(sorted(map(str, found)))}" for part, found in lacking.items())
        raise ModelError(f"{folder}: its parts have weights of different variants ({parts})")
    return "fp16" if "fp16" in shared else min(map(str, shared))


def variant_of(file: Path) -> str | None:
    """Reads the variant in the name of a file: fp16 in model.fp16.safetensors and m.fp16-00001-of-00002.safetensors."""
    match = _NAME.fullmatch(file.name)
    return match["variant"] if match else None


def weight_bytes(
    folder: Path, dtype: torch.dtype, variant: str | None = None, bits: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Adds up the bytes of each part's weights in a precision, from the headers of its files.

    ``bits`` has the parts whose linear layers are quantized, and the bits of their weights.
    """
    sizes = {}
    for part in weighted_parts(folder):
        files = sorted((folder / part).glob("*.safetensors"))
        chosen = [file for file in files if variant_of(file) == variant] or [
            file for file in files if variant_of(file) is None
        ]
        sizes[part] = sum(_tensor_bytes(file, dtype, (bits or {}).get(part)) for file in chosen)
    return sizes


def check_memory(sizes: dict[str, int], free: int, offload: bool) -> None:
    """Checks that a model fits into the free memory of a device before it is read.

    Args:
        sizes: as ``weight_bytes`` returns.
        free: bytes.
        offload: whether text encoders wait in the memory of the host.

    Raises:
        ModelError: it does not fit; it names what would.
    """
    encoders = sum(size for part, size in sizes.items() if part.startswith("text_encoder"))
    rest = sum(sizes.values()) - encoders
    # With offloading, encoders and denoiser take turns.
    needed = (max(rest, encoders) if offload else rest + encoders) + HEADROOM
    if needed <= free:
        return
    smaller = max(rest, encoders) + HEADROOM
    remedy = (
        f"model.offload=true needs {_gib(smaller)}"
        if not offload and smaller <= free
        else "take a smaller model or a larger GPU, or fewer workers on each GPU"
    )
    raise ModelError(
        f"the model needs {_gib(needed)} of memory ({_gib(encoders)} of it for text encoders), and the GPU has "
        f"{_gib(free)} free; {remedy}"
    )


def _tensor_bytes(file: Path, dtype: torch.dtype, bits: int | None) -> int:
    with file.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        header = json.loads(stream.read(length))

    def bits_of(name: str, tensor: dict[str, Any]) -> int:
        if tensor["dtype"] not in _FLOATS:
            return 8 * _BYTES.get(tensor["dtype"], 1)
        is_linear = name.endswith(".weight") and len(tensor["shape"]) == 2 and not _EMBEDDING.search(name)
        return bits if bits and is_linear else 8 * dtype.itemsize

    return sum(
        math.prod(tensor["shape"]) * bits_of(name, tensor) // 8
        for name, tensor in header.items()
        if name != "__metadata__"
    )


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
