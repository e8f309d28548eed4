from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from filters.errors import FilterError
from filters.measures.classifier import Classifier

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 40, 40, 3), dtype=np.uint8)


def test_the_larger_probability_of_the_two_images_counts(classifier_folder: Path) -> None:
    unsafe = Classifier(str(classifier_folder), "unsafe", device="cpu")
    safe = Classifier(str(classifier_folder), "safe", device="cpu")
    one = unsafe.score(IMAGES[:2], IMAGES[:2])
    assert one + safe.score(IMAGES[:2], IMAGES[:2]) == pytest.approx([1, 1], abs=1e-6)
    assert unsafe.score(IMAGES[:1], IMAGES[1:2])[0] == max(one)


def test_a_label_that_the_classifier_lacks_is_an_error(classifier_folder: Path) -> None:
    with pytest.raises(FilterError, match="no label 'nsfw': it has safe, unsafe"):
        Classifier(str(classifier_folder), "nsfw", device="cpu")
