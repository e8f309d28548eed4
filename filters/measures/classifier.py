"""Probability of a label by an image classifier: unsafe, watermarked, beautiful."""

from __future__ import annotations

from transformers import AutoModelForImageClassification

from filters.errors import FilterError
from filters.measures.hf_image_model import load_image_model
from filters.measures.measure import Score, check_same_number
from filters.pixels import Images


class Classifier:
    """The probability of a label, in [0, 1]: the larger of those of the two images."""

    def __init__(self, model: str, label: str, revision: str | None = None, device: str = "auto") -> None:
        """
        Args:
            model: a folder with an image classifier of transformers, or its name on the hub.
            label: one of the classifier's labels.

        Raises:
            FilterError: as `load_image_model`, or a label that the classifier does not know.
        """
        self._classifier = load_image_model(AutoModelForImageClassification, model, revision, device)
        labels = {str(text): int(index) for index, text in self._classifier.model.config.id2label.items()}
        if label not in labels:
            raise FilterError(f"{model} has no label {label!r}: it has {', '.join(labels)}")
        self._label = labels[label]

    def score(self, inputs: Images, outputs: Images) -> Score:
        """Computes the probability for each pair: float32 (N,).

        Raises FilterError for images of another type or shape, and numbers that differ.
        """
        check_same_number(inputs, outputs)
        probabilities = self._classifier(
            [*inputs, *outputs], lambda output: output.logits.float().softmax(dim=-1)[:, self._label]
        )
        score: Score = probabilities.reshape(2, -1).numpy().max(axis=0)
        return score
