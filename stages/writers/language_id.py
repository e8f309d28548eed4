"""Checks the language of a text with py3langid (Lui and Baldwin 2012, langid.py)."""

from __future__ import annotations

from stages.writers.base import WriterError


class Language:
    """Says whether a text is in the language with at least the given probability."""

    def __init__(self, code: str, least: float) -> None:
        """``code`` is an ISO 639 code. Raises WriterError if py3langid is missing or does not know the code."""
        try:
            from py3langid.langid import MODEL_FILE, LanguageIdentifier
        except ImportError as error:
            raise WriterError(
                f"checks.language={code} needs py3langid: pip install 'pairforge[pairs]', or give null"
            ) from error
        self._identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
        self._code, self._least = code, least
        known = sorted(set(map(str, self._identifier.labels)))
        if code not in known:
            raise WriterError(
                f"checks.language={code} is unknown to py3langid, so every answer would be refused; "
                f"give one of {', '.join(known)}"
            )

    def __call__(self, text: str) -> bool:
        language, probability = self._identifier.classify(text)
        return str(language) == self._code and float(probability) >= self._least
