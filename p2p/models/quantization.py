"""Weights of fewer bits: float8 for a transformer's linear layers by torchao, T5 in 8 or 4 bits by bitsandbytes."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from diffusers.quantizers import PipelineQuantizationConfig
from transformers import BitsAndBytesConfig

from p2p.errors import ModelError

FP8_PARTS = ("transformer",)
"""Parts of a pipeline that wait on the host until they are float8, so that a GPU need not hold them in full."""


def check_float8(device: torch.device) -> None:
    """Raises ModelError if a device has no float8, or torchao is not installed."""
    if device.type != "cuda" or torch.cuda.get_device_capability(device) < (8, 9):
        raise ModelError("fp8 needs a GPU of compute capability 8.9 or more (Ada, Hopper); remove it")
    if not _is_installed("torchao"):
        raise ModelError("fp8 needs torchao: pip install torchao")


def use_float8(network: torch.nn.Module, device: torch.device) -> None:
    """Moves a transformer to a device; its linear layers compute in float8, scaled as values come.

    Raises:
        ModelError: the denoiser is a U-Net.
    """
    if isinstance(network, UNet2DConditionModel):
        raise ModelError(
            "fp8 is for transformers (SD3, FLUX): a U-Net spends its time in convolutions; remove it"
        )
    from torchao.quantization import Float8DynamicActivationFloat8WeightConfig, quantize_

    # One layer after the other comes to the device and becomes float8 there.
    quantize_(network, Float8DynamicActivationFloat8WeightConfig(), device=device)
    network.to(device)


def t5_parts(folder: Path) -> list[str]:
    """Lists the parts of a pipeline that are a T5."""
    index: dict[str, Any] = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    return [part for part, kind in index.items() if isinstance(kind, list) and "T5Encoder" in str(kind[1])]


def quantized_t5(
    folder: Path, bits: int, device: torch.device, dtype: torch.dtype
) -> PipelineQuantizationConfig:
    """Makes the configuration with which diffusers loads a pipeline's T5 in 8 or 4 bits.

    Raises:
        ModelError: the model has no T5, or there is no GPU or no bitsandbytes.
    """
    parts = t5_parts(folder)
    if not parts:
        raise ModelError(f"{folder}: text_encoder_bits is for models with a T5 (SD3, FLUX); remove it")
    if device.type != "cuda":
        raise ModelError("text_encoder_bits needs a GPU; remove it")
    if not _is_installed("bitsandbytes"):
        raise ModelError("text_encoder_bits needs bitsandbytes: pip install bitsandbytes")
    config = (
        BitsAndBytesConfig(load_in_8bit=True)
        if bits == 8
        else BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype)
    )
    return PipelineQuantizationConfig(quant_mapping=dict.fromkeys(parts, config))


def _is_installed(library: str) -> bool:
    try:
        return importlib.util.find_spec(library) is not None
    # It stands in sys.modules as None or without a spec.
    except ValueError:
        return False
