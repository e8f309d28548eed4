"""Stable Diffusion 3 and 3.5: a transformer with joint attention to two CLIP text encoders and a T5.

The text is CLIP's window, where a position has the hidden states of both encoders, followed by T5's window. A word has
tokens in both windows and is edited in both. A prompt that is cut keeps in each window what fits into it. The
timestep's embedding includes the pooled ones of both CLIP encoders.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import StableDiffusion3Pipeline
from torch import Tensor

from p2p.attention.joint_processor import JointAttention
from p2p.attention.routing import Routing
from p2p.families.family import Conditioning
from p2p.families.pipeline_loader import load_pipeline
from p2p.families.prompt_encoder import PromptEncoder
from p2p.families.vae_decoder import Decoder
from p2p.text.clip_text_encoders import ClipPair
from p2p.text.token_windows import load_t5, tokenize
from p2p.text.words import TokenizedPrompt

HALF = torch.bfloat16
T5_TOKENS = 256


class StableDiffusion3(PromptEncoder):
    """A ``p2p.families.family.Family`` over the parts of a ``StableDiffusion3Pipeline``, with T5 or without.

    ``t5_tokens`` is the length of T5's window. Without a T5 this number of positions is zeros.
    """

    embeds_guidance = False

    def __init__(
        self, folder: Path, pipeline: Any, device: torch.device, dtype: torch.dtype, t5_tokens: int
    ) -> None:
        self.clip = ClipPair(folder, pipeline)
        super().__init__(self.clip)
        self.device, self.dtype = device, dtype
        self.network = pipeline.transformer.eval().requires_grad_(False)
        self.decoder = Decoder(pipeline.vae)
        self.t5, self.t5_window, self.t5_tokens = None, None, t5_tokens
        if pipeline.text_encoder_3 is not None:
            self.t5 = pipeline.text_encoder_3.eval().requires_grad_(False)
            self.t5_window = load_t5(folder, "tokenizer_3", t5_tokens)
            self.t5_tokens = self.t5_window.limit
        config = self.network.config
        self.latent_shape = (config.in_channels, config.sample_size, config.sample_size)
        side = config.sample_size // config.patch_size
        self.map_layers = {(side, side): config.num_layers}
        self.scheduler_config: Mapping[str, Any] = {**pipeline.scheduler.config, "_image_tokens": side**2}
        self.resolution = config.sample_size * self.decoder.pixels_per_latent
        self.attention = JointAttention(self.window)
        self.network.set_attn_processor(self.attention)

    @property
    def window(self) -> int:
        return self.clip.limit + self.t5_tokens

    def tokenize(self, prompt: str, cut: bool = False) -> TokenizedPrompt:
        self.clip.tokenize(prompt, cut)
        first = self.clip.windows[0]
        if self.t5_window is None:
            return tokenize(prompt, (first,), unfilled=self.t5_tokens, cut=cut)
        return tokenize(prompt, (first, self.t5_window), cut=cut)

    def _encode(self, prompt: str, cut: bool) -> Conditioning:
        clip, outputs = self.clip.encode(prompt, cut)
        width = self.network.config.joint_attention_dim
        if self.t5 is None or self.t5_window is None:
            t5 = clip.new_zeros(self.t5_tokens, width)
        else:
            t5 = self.t5(self.t5_window.ids(prompt, cut).input_ids.to(self.device))[0][0]
        text = torch.cat([F.pad(clip, (0, width - clip.shape[-1])), t5.to(clip.dtype)])
        pooled = torch.cat([output.text_embeds[0] for output in outputs])
        return text.to(self.dtype), pooled.to(self.dtype)

    def denoise(
        self, latents: Tensor, timesteps: Tensor, conditioning: Conditioning, routing: Routing
    ) -> Tensor:
        text, pooled = conditioning
        with self.attention.routed(routing):
            output = self.network(
                hidden_states=latents.to(self.dtype),
                timestep=timesteps,
                encoder_hidden_states=text,
                pooled_projections=pooled,
                return_dict=False,
            )
        return output[0].float()


def load(
    folder: Path,
    device: torch.device,
    dtype: torch.dtype,
    max_sequence_length: int = T5_TOKENS,
    variant: str | None = None,
    offload: bool = False,
    on_host: Collection[str] = (),
    quantization: Any = None,
) -> StableDiffusion3:
    """Loads a diffusers folder of this family; ``max_sequence_length`` is the pipeline's."""
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    absent = {part: None for part in ("text_encoder_3", "tokenizer_3") if index.get(part, [None])[0] is None}
    pipeline = load_pipeline(
        StableDiffusion3Pipeline,
        folder,
        device,
        dtype,
        offload,
        on_host,
        quantization,
        variant=variant,
        **absent,
    )
    model = StableDiffusion3(folder, pipeline, device, dtype, max_sequence_length)
    if offload:
        model.offload(pipeline)
    return model
