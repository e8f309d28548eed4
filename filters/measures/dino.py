"""Similarity of content and layout by DINOv2, without text."""

from __future__ import annotations

from torch.nn import functional as F
from transformers import AutoModel

from filters.measures.hf_image_model import load_image_model
from filters.measures.measure import Score, check_same_number
from filters.pixels import Images


class Dino:
    """Cosine of the images' class tokens (Oquab et al. 2023), in [-1, 1], as UltraEdit (Zhao et al. 2024) filters."""

    def __init__(self, model: str, revision: str | None = None, device: str = "auto") -> None:
        """`model` is a folder with a DINO or DINOv2 of transformers, or its name on the hub.

        Raises:
            FilterError: as `load_image_model`.
        """
        self._dino = load_image_model(AutoModel, model, revision, device)

    def score(self, inputs: Images, outputs: Images) -> Score:
        """Computes the cosine for each pair: float32 (N,).

        Raises FilterError for images of another type or shape, and numbers that differ.
        """
        check_same_number(inputs, outputs)
        tokens = self._dino([*inputs, *outputs], lambda output: output.last_hidden_state[:, 0])
        before, after = tokens[: len(inputs)], tokens[len(inputs) :]
        similarity: Score = F.cosine_similarity(before, after).clamp(-1, 1).numpy()
        return similarity
