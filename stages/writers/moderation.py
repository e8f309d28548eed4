"""Moderates texts with a text classifier."""

from __future__ import annotations

from conf.pairs import Checks
from stages.writers.base import WriterError


class Moderation:
    """Says whether the probability of a label for a text is at most ``checks.moderation_most``."""

    def __init__(self, checks: Checks) -> None:
        """Loads a text classifier of transformers from a folder or the hub, safetensors only.

        Raises WriterError if the model does not load or has no such label.
        """
        # Imported here: the library takes a second to load.
        from transformers import AutoModelForSequenceClassification, pipeline

        from stages.writers.transformers_writer import load_pretrained

        model, label = str(checks.moderation), checks.moderation_label
        tokenizer, classifier = load_pretrained(
            AutoModelForSequenceClassification, "checks.moderation", model, checks.moderation_revision
        )
        labels = [str(name) for name in classifier.config.id2label.values()]
        if label not in labels:
            raise WriterError(
                f"checks.moderation_label={label} is not a label of {model}: {', '.join(labels)}"
            )
        self._classify = pipeline("text-classification", classifier, tokenizer=tokenizer, top_k=None)
        self._label, self._most = label, checks.moderation_most

    def __call__(self, text: str) -> bool:
        (scores,) = self._classify([text], truncation=True)
        probability = next(entry["score"] for entry in scores if entry["label"] == self._label)
        return float(probability) <= self._most
