"""What Prompt-to-Prompt needs of a model family."""

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

# Encoded prompts that a family remembers.
PROMPTS_CACHED = 512

# One row's text conditioning, without the batch dimension: the text's hidden states, and after them what else the
# denoiser is given of the prompt (pooled embeddings), which is the family's own.
Conditioning = tuple[Tensor, ...]


class Family(Protocol):
    """A denoiser with its text encoder and its decoder."""

    @property
    def device(self) -> torch.device:
        """Where the denoiser is."""

    @property
    def dtype(self) -> torch.dtype:
        """What the denoiser computes in."""

    @property
    def network(self) -> torch.nn.Module:
        """The denoiser's module, which may be compiled in its place."""

    @property
    def decoder(self) -> Decoder:
        """From latents to images."""

    @property
    def window(self) -> int:
        """S: positions of the text encoder, start and end token included."""

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """(C, h, w)."""

    @property
    def map_layers(self) -> Mapping[tuple[int, int], int]:
        """For each size (h', w') of the maps between pixels and text, the number of layers that have it."""

    @property
    def resolution(self) -> int:
        """Pixels of the side of the square image that the model was made for."""

    @property
    def scheduler_config(self) -> Mapping[str, Any]:
        """The config of the scheduler that came with the model, and what its pipeline adds to it; see the samplers."""

    @property
    def embeds_guidance(self) -> bool:
        """Whether guidance is a number that the denoiser is given, the last part of its conditioning, (), and no row is
        doubled for it."""

    def fit(self, prompt: str) -> str:
        """The prompt, without the last words if it does not fit into the window."""

    def tokenize(self, prompt: str) -> TokenizedPrompt:
        """The prompt's words and tokens. Raises P2PError if it does not fit into the window."""

    def encode(self, prompt: str) -> Conditioning:
        """The prompt's conditioning, on the device. Raises P2PError if it does not fit into the window."""

    def unconditional(self) -> Conditioning:
        """The conditioning of the unguided rows."""

    def denoise(
        self, latents: Tensor, timesteps: Tensor, conditioning: Conditioning, routing: Routing
    ) -> Tensor:
        """The denoiser's output (B, C, h, w) fp32 for latents (B, C, h, w) fp32 at timesteps (B,).

        ``conditioning`` has the rows stacked.
        """


class FamilyModule(Protocol):
    """A module of this package.

    Attributes:
        HALF: what the family computes in by default where half precision is fast.
    """

    HALF: torch.dtype

    def load(self, folder: Path, device: torch.device, dtype: torch.dtype) -> Family:
        """Load a diffusers folder of the family."""


class OwnFamily(FamilyModule, Protocol):
    """A module outside this package."""

    def window(self, folder: Path) -> PromptWindow:
        """What a prompt has to fit into, of a folder that need not hold weights."""
