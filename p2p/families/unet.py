"""The U-Net of Stable Diffusion 1, 2 and XL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from p2p.attention import PLAIN, InjectedAttention, Routing


class InjectedUNet:
    """A ``UNet2DConditionModel`` of diffusers whose attention is Prompt-to-Prompt's."""

    def __init__(self, unet: Any) -> None:
        self.model = unet.eval().requires_grad_(False)
        size = unet.config.sample_size
        height, width = (size, size) if isinstance(size, int) else size
        self.latent_shape = (unet.config.in_channels, height, width)
        self.attention = InjectedAttention()
        unet.set_attn_processor(
            {
                # The transformers' attn1 is self-, attn2 cross-attention; any other attention stays as it is.
                name: self.attention if name.endswith(("attn1.processor", "attn2.processor")) else processor
                for name, processor in unet.attn_processors.items()
            }
        )

    def __call__(
        self,
        latents: Tensor,
        timesteps: Tensor,
        text: Tensor,
        routing: Routing,
        added: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """The output (B, C, h, w) fp32.

        Args:
            latents: (B, C, h, w) fp32.
            timesteps: (B,).
            text: (B, S, C) in the U-Net's precision.
            routing: that of the rows.
            added: what SDXL is given besides: pooled embeddings and sizes.
        """
        self.attention.routing = routing
        try:
            output = self.model(
                latents.to(self.model.dtype), timesteps, text, added_cond_kwargs=added, return_dict=False
            )
        finally:
            self.attention.routing = PLAIN
        return output[0].float()
