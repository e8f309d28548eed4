"""The U-Net of Stable Diffusion 1, 2 and XL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from diffusers.models.embeddings import get_timestep_embedding
from torch import Tensor

from p2p.attention.processor import PLAIN, InjectedAttention, Routing


class InjectedUNet:
    """A ``UNet2DConditionModel`` of diffusers with the attention of Prompt-to-Prompt."""

    def __init__(self, unet: Any) -> None:
        self.model = unet.eval().requires_grad_(False)
        size = unet.config.sample_size
        height, width = (size, size) if isinstance(size, int) else size
        self.latent_shape = (unet.config.in_channels, height, width)
        self.map_layers = _map_layers(unet, height, width)
        self.embeds_guidance = unet.config.time_cond_proj_dim is not None
        self.attention = InjectedAttention()
        unet.set_attn_processor(
            {
                # attn1 is self-, attn2 cross-attention of the transformers; other attention does not change.
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
        guidance: Tensor | None = None,
    ) -> Tensor:
        """Computes the U-Net's output, (B, C, h, w) fp32.

        Args:
            latents: (B, C, h, w) fp32.
            timesteps: (B,).
            text: (B, S, C) in the U-Net's precision.
            routing: of the batch.
            added: additional conditioning of SDXL: pooled embeddings and sizes.
            guidance: (B,), for consistency models, which embed it (Luo et al. 2023, section 4.2).
        """
        width = self.model.config.time_cond_proj_dim
        condition = None
        if guidance is not None:
            embedded = get_timestep_embedding(guidance - 1, width, downscale_freq_shift=1, scale=1000)
            condition = embedded.to(self.model.dtype)
        self.attention.routing = routing
        try:
            output = self.model(
                latents.to(self.model.dtype),
                timesteps,
                text,
                timestep_cond=condition,
                added_cond_kwargs=added,
                return_dict=False,
            )
        finally:
            self.attention.routing = PLAIN
        return output[0].float()


def _map_layers(unet: Any, height: int, width: int) -> dict[tuple[int, int], int]:
    """Counts the cross-attention layers for each size of map. Each level halves the side, rounded up."""
    sizes = [(height, width)]
    for _ in unet.config.block_out_channels[1:]:
        sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
    layers: Counter[tuple[int, int]] = Counter()
    for name in unet.attn_processors:
        if name.endswith("attn2.processor"):
            part, index = name.split(".")[:2]
            level = len(sizes) - 1
            if part != "mid_block":
                level = int(index) if part == "down_blocks" else level - int(index)
            layers[sizes[level]] += 1
    return dict(layers)
