"""Moderates texts with a text classifier."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError

from conf.messages import error_line
from conf.pairs import Checks
from stages.writers.base import WriterError


class Moderation:
    """Says whether the probability of a label for a text is at most ``checks.moderation_most``."""

    def __init__(self, checks: Checks) -> None:
        """Loads a text classifier of transformers from a folder or the hub, safetensors only.

        Raises WriterError if the model does not load or has no such label.
        """
        # Imported here: the library takes a second to load.
        from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

        model, label = str(checks.moderation), checks.moderation_label
        options = {"revision": checks.moderation_revision, "trust_remote_code": False}
        try:
            tokenizer = AutoTokenizer.from_pretrained(model, **options)
            classifier = AutoModelForSequenceClassification.from_pretrained(
                model, use_safetensors=True, **options
            )
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            reason = error_line(error)
            if any(Path(model).glob("*.bin")) and not any(Path(model).glob("*.safetensors")):
                reason = "it has pickled weights only, which are never loaded: save it as safetensors"
            raise WriterError(f"checks.moderation={model} does not load: {reason}") from error
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
