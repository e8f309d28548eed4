"""What an image classifier says of the images: unsafe, watermarked, beautiful."""

from __future__ import annotations

from transformers import AutoModelForImageClassification

from filters.errors import FilterError
from filters.measures import hf_image_model
from filters.measures.measure import Score, same_number
from filters.measures.pixels import Images


class Classified:
    """The probability, in [0, 1], that an image has a label: the larger of the two images'."""

    def __init__(self, model: str, label: str, revision: str | None = None, device: str = "auto") -> None:
        """
        Args:
            model: a folder with an image classifier of transformers', or its name on the hub.
            label: one of the classifier's.

        Raises:
            FilterError: as `hub.load`, or a label that the classifier does not know.
        """
        self._judge = hf_image_model.load(AutoModelForImageClassification, model, revision, device)
        labels = {str(text): int(index) for index, text in self._judge.model.config.id2label.items()}
        if label not in labels:
            raise FilterError(f"{model} has no label {label!r}: it has {', '.join(labels)}")
        self._label = labels[label]

    def score(self, inputs: Images, outputs: Images) -> Score:
        """Raises FilterError for images of another type or shape, and numbers that differ."""
        same_number(inputs, outputs)
        found = self._judge(
            [*inputs, *outputs], lambda output: output.logits.float().softmax(dim=-1)[:, self._label]
        )
        score: Score = found.reshape(2, -1).numpy().max(axis=0)
        return score
