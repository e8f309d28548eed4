"""What a text classifier says of a text."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError

from conf.messages import error_line
from stages.writers.base import WriterError


class Moderation:
    """Called with a text: whether the probability of a label is at most so much."""

    def __init__(self, model: str, revision: str | None, label: str, most: float) -> None:
        """``model`` is a folder with a text classifier of transformers', or its name on the hub; safetensors only.

        Raises WriterError for a model that does not load, or has no such label.
        """
        # Loading takes a second, which those who do not moderate need not wait for.
        from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

        try:
            tokenizer = AutoTokenizer.from_pretrained(model, revision=revision, trust_remote_code=False)
            classifier = AutoModelForSequenceClassification.from_pretrained(
                model, revision=revision, use_safetensors=True, trust_remote_code=False
            )
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            reason = error_line(error)
            if any(Path(model).glob("*.bin")) and not any(Path(model).glob("*.safetensors")):
                reason = "it has pickled weights only, which are never loaded: save it as safetensors"
            raise WriterError(f"checks.moderation={model} does not load: {reason}") from error
        labels = [str(name) for name in classifier.config.id2label.values()]
        if label not in labels:
            raise WriterError(f"checks.moderation_label={label} is none of {model}: {', '.join(labels)}")
        self._classify = pipeline("text-classification", classifier, tokenizer=tokenizer, top_k=None)
        self._label, self._most = label, most

    def __call__(self, text: str) -> bool:
        (scores,) = self._classify([text], truncation=True)
        found = next(one["score"] for one in scores if one["label"] == self._label)
        return float(found) <= self._most
