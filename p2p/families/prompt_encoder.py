"""Text side of a family: the words of its prompts, and a cache of their encodings."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Protocol

import torch

from p2p.families.family import PROMPTS_CACHED, Conditioning
from p2p.text.words import TokenizedPrompt


class Prompts(Protocol):
    """Tokenizers of a model: ``p2p.text.token_windows.PromptWindow``, or several together."""

    @property
    def limit(self) -> int:
        """S: number of positions, start and end token included."""

    def tokenize(self, prompt: str, cut: bool = False) -> TokenizedPrompt:
        """Words and tokens. Raises P2PError if the prompt does not fit and ``cut`` is false."""


class PromptEncoder:
    """The methods of ``p2p.families.family.Family`` for prompts; a family adds ``_encode`` and the attributes."""

    device: torch.device
    network: Any

    def __init__(self, prompts: Prompts) -> None:
        self.prompts = prompts
        self._cached = lru_cache(PROMPTS_CACHED)(self._encode_on_device)
        self._offloaded: tuple[torch.nn.Module, ...] = ()
        self._encoders_are_here = True

    @property
    def window(self) -> int:
        return self.prompts.limit

    def tokenize(self, prompt: str, cut: bool = False) -> TokenizedPrompt:
        return self.prompts.tokenize(prompt, cut)

    def encode(self, prompt: str, cut: bool = False) -> Conditioning:
        return self._cached(prompt, cut)

    def unconditional(self) -> Conditioning:
        return self._cached("", False)

    def offload(self, pipeline: Any) -> None:
        """Keeps the text encoders of a diffusers pipeline in the memory of the host until they are needed."""
        encoders = (part for name, part in pipeline.components.items() if name.startswith("text_encoder"))
        self._offloaded = tuple(encoder for encoder in encoders if encoder is not None)
        self._encoders_are_here = False

    def release_encoders(self) -> None:
        """Sends offloaded text encoders back to the host. Call it when the prompts of a batch are encoded."""
        if self._offloaded and self._encoders_are_here:
            self._move(self._offloaded, torch.device("cpu"))
            self._move((self.network,), self.device)
            self._encoders_are_here = False

    def _encode_on_device(self, prompt: str, cut: bool) -> Conditioning:
        if not self._encoders_are_here:
            if (
                self.device.type == "cuda"
                and _bytes(self._offloaded) > torch.cuda.mem_get_info(self.device)[0]
            ):
                self._move((self.network,), torch.device("cpu"))
            self._move(self._offloaded, self.device)
            self._encoders_are_here = True
        return self._encode(prompt, cut)

    def _move(self, modules: Sequence[torch.nn.Module], device: torch.device) -> None:
        for module in modules:
            module.to(device)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _encode(self, prompt: str, cut: bool) -> Conditioning:
        """Encodes one prompt alone, so that its encoding does not depend on other prompts."""
        raise NotImplementedError


def _bytes(modules: Sequence[torch.nn.Module]) -> int:
    return sum(weight.nbytes for module in modules for weight in module.parameters())
