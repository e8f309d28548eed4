from __future__ import annotations

import pytest

from stages.writers.base import WriterError
from stages.writers.language_id import Language

TEXTS = {
    "en": "a girl riding a dragon in the sky",
    "de": "ein rotes Haus im Schnee",
    "fr": "une maison rouge sous la neige",
}


@pytest.mark.parametrize("code", TEXTS)
def test_a_text_is_in_its_own_language_alone(code: str) -> None:
    language = Language(code, 0.5)
    assert [name for name, text in TEXTS.items() if language(text)] == [code]


def test_a_higher_probability_refuses_more_texts() -> None:
    texts = [*TEXTS.values(), "red", "a house", "Haus", "12", "neige sky im"]
    levels = [Language("en", least) for least in (0.0, 0.5, 1.01)]
    accepted = [[text for text in texts if language(text)] for language in levels]
    assert len(accepted[0]) > len(accepted[1]) > len(accepted[2]) == 0
    assert set(accepted[1]) < set(accepted[0])


@pytest.mark.parametrize("code", ["english", "EN", "en-US"])
def test_a_language_by_another_name_than_its_code_is_refused(code: str) -> None:
    with pytest.raises(WriterError, match=rf"checks\.language={code} is unknown .*, en, "):
        Language(code, 0.5)
