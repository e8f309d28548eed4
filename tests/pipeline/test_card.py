from __future__ import annotations

from pathlib import Path

import yaml

from pipeline.card import card
from pipeline.funnel import Funnel
from tests import runs


def test_the_card_points_load_dataset_at_the_shards_and_names_no_folder_of_ours():
    config = runs.config(Path("/home/me/tiny"), Path("/home/me/small-clip"), "shards=jpeg")
    text = card(config, Funnel(samples=1234, pairs=10, pairs_kept=7, candidates=5678))
    _, head, body = text.split("---\n", 2)
    (data,) = yaml.safe_load(head)["configs"]
    assert data == {"config_name": "default", "data_files": "data/*.tar"}
    for told in (
        "1,234 samples",
        "7 of 10 caption pairs",
        "the model tiny",
        "small-clip",
        "edited_image.jpg",
    ):
        assert told in body
    assert "Prompt-to-Prompt over a sweep of tau" in body
    assert "/home/me" not in text
    assert "{" not in body


def test_the_card_says_by_which_method():
    config = runs.config(Path("/m"), Path("/c"), "edit.method=sdedit")
    text = card(config, Funnel(samples=1, pairs=1, pairs_kept=1, candidates=1))
    assert "SDEdit over a sweep of strengths" in text
    assert "Prompt-to-Prompt" not in text
