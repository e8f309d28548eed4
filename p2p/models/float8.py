"""Float8 for the linear layers of transformers, by torchao."""

from __future__ import annotations

import torch
from diffusers import UNet2DConditionModel

from p2p.errors import ModelError


def use_float8(network: torch.nn.Module) -> None:
    """Makes the linear layers of a transformer compute in float8, with weights and activations scaled as they come.

    Raises:
        ModelError: torchao is not installed, the denoiser is a U-Net, or the device has no float8.
    """
    if isinstance(network, UNet2DConditionModel):
        raise ModelError(
            "fp8 is for transformers (SD3, FLUX): a U-Net spends its time in convolutions; remove it"
        )
    device = next(network.parameters()).device
    if device.type != "cuda" or torch.cuda.get_device_capability(device) < (8, 9):
        raise ModelError("fp8 needs a GPU of compute capability 8.9 or more (Ada, Hopper); remove it")
    try:
        from torchao.quantization import Float8DynamicActivationFloat8WeightConfig, quantize_
    except ImportError as error:
        raise ModelError("fp8 needs torchao: pip install torchao") from error
    quantize_(network, Float8DynamicActivationFloat8WeightConfig())
