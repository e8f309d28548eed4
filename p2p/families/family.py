"""Family interface: the parts of a model that Prompt-to-Prompt needs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from p2p.attention.processor import Routing
from p2p.families.vae_decoder import Decoder
from p2p.text.token_windows import PromptWindow
from p2p.text.words import TokenizedPrompt

# Number of encoded prompts that a family caches.
PROMPTS_CACHED = 512

# Text conditioning of one row, without the batch dimension: hidden states (S, C) of the text, then whatever else the
# family's denoiser needs of the prompt (pooled embeddings).
Conditioning = tuple[Tensor, ...]


class Family(Protocol):
    """A denoiser with its text encoder and its decoder."""

    @property
    def device(self) -> torch.device:
        """Device of the denoiser."""

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the denoiser."""

    @property
    def network(self) -> torch.nn.Module:
        """The denoiser's module; ``p2p.load`` may compile it in place."""

    @property
    def decoder(self) -> Decoder:
        """Decoder of latents to images."""

    @property
    def window(self) -> int:
        """S: number of positions of the text, start and end token included."""

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Shape (C, h, w) of the latents."""

    @property
    def map_layers(self) -> Mapping[tuple[int, int], int]:
        """Number of layers for each size (h', w') of the maps between pixels and text."""

    @property
    def resolution(self) -> int:
        """Side in pixels of the square images that the model was made for."""

    @property
    def scheduler_config(self) -> Mapping[str, Any]:
        """Config of the model's scheduler, and what its pipeline adds to it for the samplers."""

    @property
    def embeds_guidance(self) -> bool:
        """True if the denoiser embeds the guidance scale, a scalar as the last part of its conditioning.

        Such a model needs no unconditional rows.
        """

    def tokenize(self, prompt: str, cut: bool = False) -> TokenizedPrompt:
        """Finds the words and tokens of a prompt. ``cut`` drops tokens that do not fit into the window.

        Raises P2PError if it does not fit and ``cut`` is false.
        """

    def encode(self, prompt: str, cut: bool = False) -> Conditioning:
        """Encodes the tokens of ``tokenize`` on the device, and raises the same errors."""

    def unconditional(self) -> Conditioning:
        """Encodes the prompt of unconditional rows without a negative prompt, which is empty."""

    def denoise(
        self, latents: Tensor, timesteps: Tensor, conditioning: Conditioning, routing: Routing
    ) -> Tensor:
        """Computes the denoiser's output (B, C, h, w) fp32 for latents (B, C, h, w) fp32 at timesteps (B,).

        ``conditioning`` has the parts of B rows stacked.
        """


class FamilyModule(Protocol):
    """A module of this package.

    Attributes:
        HALF: the family's default precision on a GPU that has bf16; it is fp16 on others.
    """

    HALF: torch.dtype

    def load(self, folder: Path, device: torch.device, dtype: torch.dtype, **options: Any) -> Family:
        """Loads a diffusers folder of the family to ``device``.

        It may take the options ``variant`` and ``offload`` of ``p2p.load``, and a family with a T5
        ``max_sequence_length``, the tokens of its window.
        """


class FamilyPlugin(FamilyModule, Protocol):
    """A module outside this package."""

    def window(self, folder: Path) -> PromptWindow:
        """Loads the window that prompts must fit into, from a folder that may lack weights."""
