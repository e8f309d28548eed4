from __future__ import annotations

from pathlib import Path

import pytest
from huggingface_hub import constants

from conf.config_errors import ConfigError
from pipeline.config.hub_models import check_hub_models
from tests.filters.test_hub import keep


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    return tmp_path


def test_a_model_that_is_nowhere_is_refused_with_the_remedy(cache: Path):
    with pytest.raises(
        ConfigError, match=r"model\.path=owner/name is not on this machine.*model\.path=FOLDER"
    ):
        check_hub_models(("model.scoring_decoder", None, None), ("model.path", "owner/name", None))


def test_cached_models_take_the_hub_offline(cache: Path):
    keep(cache, "owner/name", "model_index.json")
    check_hub_models(("model.path", "owner/name", None))
    assert constants.is_offline_mode()


def test_local_models_ask_no_hub(cache: Path):
    check_hub_models(("model.path", str(cache), None), ("filter.measures.dino.model", "", None))
    assert not constants.is_offline_mode()
