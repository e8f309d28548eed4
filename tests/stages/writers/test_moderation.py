from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from conf.pairs import Checks
from stages.writers.base import WriterError
from stages.writers.moderation import Moderation
from tests.llamas import save_classifier


@pytest.fixture
def classifier(tmp_path: Path) -> Path:
    """A text classifier that has learnt nothing."""
    return save_classifier(tmp_path / "classifier")


class Touching:
    """What makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_a_pickle_is_named_and_never_loaded(classifier: Path, tmp_path: Path):
    assert Moderation(Checks(moderation=str(classifier), moderation_most=1.0))("a red ball")
    (classifier / "model.safetensors").unlink()
    (classifier / "pytorch_model.bin").write_bytes(pickle.dumps(Touching(tmp_path / "mark")))
    with pytest.raises(
        WriterError, match=r"checks\.moderation=.*pickled weights only, which are never loaded"
    ):
        Moderation(Checks(moderation=str(classifier), moderation_most=1.0))
    assert not (tmp_path / "mark").exists()


def test_damaged_weights_are_one_line(classifier: Path):
    weights = classifier / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:40])
    with pytest.raises(WriterError, match=r"checks\.moderation=.* does not load") as error:
        Moderation(Checks(moderation=str(classifier), moderation_most=1.0))
    assert "\n" not in str(error.value)
