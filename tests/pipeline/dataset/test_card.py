from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pipeline.config.resolve import checked, compose
from pipeline.dataset.card import card
from pipeline.dataset.funnel import Funnel
from tests import runs


def test_the_card_points_at_the_shards_without_local_paths():
    config = runs.config(Path("/home/me/tiny"), Path("/home/me/small-clip"), "shards=jpeg")
    text = card(config, Funnel(samples=1234, pairs=10, pairs_kept=7, candidates=5678), True)
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
    assert "](contact-sheet.png)" in body


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("filter.clip_sim_dir=0.37", "clip_sim_dir >= 0.37"),
        ("filter.max_per_pair=9", "9 samples a caption pair"),
        ("model.revision=abc", "tiny, revision abc"),
        ("sampler.guidance=4.5", "4 steps, guidance 4.5"),
        ("edit.self_gain=0.25", "self-attention until 0.25 tau"),
        ("sweep.taus=[0.3,0.9]", "2 seeds, each with tau 0.3, 0.9"),
    ],
)
def test_the_card_states_recipe_and_thresholds(setting: str, told: str):
    config = runs.config(Path("/home/me/tiny"), Path("/c"), setting)
    text = card(config, Funnel(), False)
    assert told in text
    assert "contact-sheet" not in text
    assert told in card(config, Funnel(), False, splits={"train": 1})


def test_the_card_lists_every_rule_of_a_kept_sample(tmp_path: Path):
    plain = card(runs.config(Path("/m"), Path("/c")), Funnel(), False)
    for name in ("| and by ", "| near duplicates", "| stopped early"):
        assert name not in plain
    (tmp_path / "ours").mkdir()
    nsfw = f"{{kind:classifier,label:nsfw,model:{tmp_path / 'ours'},most:0.2}}"
    config = runs.config(
        Path("/m"),
        Path("/c"),
        f"filter.measures=[{nsfw},{{kind:ssim,least:0.3,most:0.9}},{{kind:changed_area}}]",
        "filter.near_duplicate=12",
        "early.at=0.5",
    )
    for text in (
        card(config, Funnel(), False, duplicates=9),
        card(config, Funnel(), False, duplicates=9, splits={"train": 1}),
    ):
        rules = text.partition("## How it was made")[2].partition("## ")[0].splitlines()
        assert "| and by nsfw | <= 0.2 (classifier, ours, nsfw) |" in rules
        assert "| and by ssim | >= 0.3 and <= 0.9 (ssim) |" in rules
        assert "| and by changed_area | any value (changed_area) |" in rules
        (same_pair,) = [rule for rule in rules if rule.startswith("| near duplicates |")]
        assert "in 12 bits or fewer" in same_pair
        (others,) = [rule for rule in rules if rule.startswith("| near duplicates of others |")]
        assert "in 9 bits or fewer" in others
        (early,) = [rule for rule in rules if rule.startswith("| stopped early |")]
        assert "after 0.5 of the steps" in early
        assert "clip_sim_1 by 0.4" in early
        assert str(tmp_path) not in text


def test_the_card_of_the_ultraedit_filter_names_dino():
    text = card(checked(compose(["filter=ultraedit"])), Funnel(), False)
    assert "clip_sim_dir >= 0.22, clip_sim_image >= 0.75" in text
    assert "| and by dino_sim | >= 0.4 (dino, facebook/dinov2-base) |" in text


def test_the_card_states_the_ranges_of_a_random_sweep():
    config = runs.config(
        Path("/m"), Path("/c"), "sweep=random", "sweep.tau_min=0.15", "sweep.guidance_max=8.5"
    )
    text = card(config, Funnel(), False)
    assert "a tau from 0.15 to" in text
    assert "to 8.5 |" in text
    assert ", guidance " not in text


def test_the_card_asks_for_licences_and_warns_of_bias():
    config = runs.config(Path("/home/me/tiny"), Path("/c"))
    for text in (card(config, Funnel(), True), card(config, Funnel(), False, splits={"train": 1})):
        assert yaml.safe_load(text.split("---\n")[1])["license"] == "unknown"
        licence = text.partition("## Licence")[2].partition("##")[0]
        assert licence.count(": …") == 3
        assert "tiny made" in licence
        assert "stereotypes" in text.partition("## Bias and limits")[2]


def test_the_card_of_an_export_names_the_files_of_splits():
    config = runs.config(Path("/m"), Path("/c"))
    funnel = Funnel(samples=1203, pairs=2000, pairs_kept=900, candidates=54321)
    text = card(config, funnel, True, splits={"train": 1200, "test": 3})
    (data,) = yaml.safe_load(text.split("---\n")[1])["configs"]
    assert data["data_files"] == [
        {"split": "train", "path": "data/train-*.parquet"},
        {"split": "test", "path": "data/test-*.parquet"},
    ]
    assert "1,203 samples" in text
    assert "train 1,200, test 3" in text
    assert "of 900 of 2,000\ncaption pairs, chosen among 54,321 candidates" in text
    assert "](contact-sheet.png)" in text
    assert "contact-sheet" not in card(config, funnel, False, splits={"train": 1})


def test_the_card_names_the_method():
    config = runs.config(Path("/m"), Path("/c"), "edit.method=sdedit")
    text = card(config, Funnel(samples=1, pairs=1, pairs_kept=1, candidates=1), False)
    assert "SDEdit over a sweep of strengths" in text
    assert "Prompt-to-Prompt" not in text
