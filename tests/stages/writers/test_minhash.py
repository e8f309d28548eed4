from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.writers.minhash import NearAcross, bands, likeness, shingles

TEXT = "a photo of a red ball on grass by day make the ball blue a photo of a blue ball on grass by day"


@given(st.text())
def test_a_text_is_like_itself(text: str) -> None:
    assert likeness(shingles(text), shingles(f"  {text.upper().lower()} ")) == pytest.approx(
        likeness(shingles(text), shingles(text.upper().lower()))
    )
    assert likeness(shingles(text), shingles(text)) == 1


def test_near_texts_of_other_groups_alone() -> None:
    near = NearAcross(0.8)
    assert not near(TEXT, "a")
    assert not near(TEXT + "!", "a")
    assert near(TEXT + " .", "b")
    assert not near("have her ride a dragon, a girl riding a dragon", "c")


def test_the_answer_follows_from_the_texts_and_their_order() -> None:
    texts = [f"{TEXT} {word}" for word in ("night", "nights", "snow", "snows", "", "sand and water and lava")]

    def run() -> list[bool]:
        near = NearAcross(0.9)
        return [near(text, str(k)) for k, text in enumerate(texts)]

    assert run() == run()
    assert any(run())
    assert not all(run())


@pytest.mark.parametrize("threshold", [0.01, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0])
def test_bands_find_nearly_all_that_are_as_like_as_the_threshold(threshold: float) -> None:
    b = bands(threshold)
    r = 128 // b
    assert b * r == 128
    assert 1 - (1 - threshold**r) ** b > 0.7
